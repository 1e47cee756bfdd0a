// The link between the gateway and one node fails, as networks do, under load: the keys of that node fail fast and
// specifically or not at all, no write is lost, nothing stale is served, and the other node's keys see nothing of it.
// (On processes only: nothing of this machine can stand between two containers.)
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { LoadReport } from '../../orchestrator/src/index.ts';
import { randomFrom } from '../../orchestrator/src/load/random.ts';
import { setTopology } from '../../orchestrator/src/platform/control-calls.ts';
import { FaultyLink } from '../support/faulty-link.ts';
import {
  expectClean,
  expectFast,
  expectNothingWrong,
  expectSpecific,
  failedAfter,
  startNodeLoad,
  until,
} from '../support/node-load.ts';
import { useStage } from '../support/platform.ts';

const stage = useStage();
/** Of each of the two nodes. */
const rate = 300;
let link: FaultyLink;

beforeAll(async () => {
  const { platform } = stage();
  link = await FaultyLink.to(platform.instance('cache-0').address('grpc'));
  const { epoch, nodes } = platform.topology;
  const linked = nodes.map((node) => (node.name === 'cache-0' ? { ...node, address: link.address } : node));
  // The next epoch: the gateway would take another address under the same one for an error.
  const next = { epoch: String(BigInt(epoch) + 1n), nodes: linked };
  await setTopology(platform.instance('gateway-0').address('admin'), next, { token: platform.runToken });
});

afterAll(() => link?.[Symbol.asyncDispose]());

type Reports = { readonly own: LoadReport; readonly other: LoadReport; readonly failedAfterHealing: number };

const whileFaulty = async (begin: () => void): Promise<Reports> => {
  const { platform } = stage();
  await using otherLoad = await startNodeLoad(platform, 'cache-1', rate);
  await using load = await startNodeLoad(platform, 'cache-0', rate);
  await until(load, 500);
  begin();
  await until(load, 2_000);
  link.heal();
  const healed = load.now();
  await until(load, healed + 1_500);
  const [own, other] = await Promise.all([load.stop(), otherLoad.stop()]);
  return { own, other, failedAfterHealing: failedAfter(own, healed + 1_000) };
};

test.each([
  ['parted without a goodbye', () => link.set('silent')],
  ['cut', () => link.set('cut')],
  ['answering noise', () => link.set('garbage', { random: randomFrom(20) })],
])(
  '%s: fails fast and specifically, loses nothing, and serves again within a second',
  async (_, begin) => {
    const { pid } = stage().platform.instance('gateway-0');
    const { own, other, failedAfterHealing } = await whileFaulty(begin);
    expectClean(other);
    expectNothingWrong(own);
    expect(own.lost.total).toBe(0);
    expectSpecific(own);
    expectFast(own, other);
    expect(failedAfterHealing).toBe(0);
    expect(stage().platform.instance('gateway-0').pid).toBe(pid);
  },
  60_000,
);

test('50 ms longer in each direction: everything is answered, later', async () => {
  const { own, other } = await whileFaulty(() => link.set('slow', { delayMs: 50 }));
  expectClean(other);
  expectNothingWrong(own);
  expect(own.lost.total).toBe(0);
  expect(own.windows.some(({ answered, p50 }) => answered > 10 && p50 >= 100)).toBe(true);
  // Healing breaks connections: what was on its way then has no outcome, or was not begun.
  expect(own.failed.total).toBeLessThan(rate * 0.2);
}, 60_000);
