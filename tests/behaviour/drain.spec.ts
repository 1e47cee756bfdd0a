import { connect } from 'node:net';
import { expect, test } from '@jest/globals';
import { startLoad } from '../../orchestrator/src/index.ts';
import { eventually } from '../support/eventually.ts';
import { expectClean, expectNothingWrong, failedAfter, startNodeLoad, until } from '../support/node-load.ts';
import { driver, useStage } from '../support/platform.ts';

// For so long readiness fails and everything is still served: long enough for a busy machine to notice.
const stage = useStage({ settings: { DRAIN_DELAY: '2s' } });

/** Whether somebody listens at host:port. */
const isOpen = (address: string): Promise<boolean> =>
  new Promise((resolve) => {
    const url = new URL(`http://${address}`);
    const socket = connect({ host: url.hostname, port: Number(url.port) });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
    socket.setTimeout(500, () => socket.destroy());
    socket.once('connect', () => socket.end());
  });

test('a gateway that drains answers everything that it took, and ends with 0', async () => {
  const { platform } = stage();
  const gateway = platform.instance('gateway-0');
  await using load = startLoad({ urls: [gateway.url('http')], rate: 500 });
  await load.ready;
  await until(load, 500);
  const stopping = gateway.stop();
  // The delay is the time in which a balancer would take it out: stop sending within it.
  await eventually(async () => {
    const answer = await fetch(`${gateway.url('admin')}/readyz`).catch(() => undefined);
    expect(answer?.status).toBe(503);
  });
  // It reads its keys once more as soon as somebody answers: the gateway while it drains, or when it is back.
  const reporting = load.stop();
  await stopping;
  if (driver === 'process') expect(await isOpen(gateway.address('http'))).toBe(false);
  expect(gateway.state).toBe('stopped');
  await gateway.start();
  expect((await fetch(`${gateway.url('http')}/readyz`)).status).toBe(200);
  const report = await reporting;
  expectClean(report);
  expect(report.answered).toBeGreaterThan(200);
}, 60_000);

test('a node that drains answers what it took; its keys then fail specifically and come back with it', async () => {
  const { platform } = stage();
  const node = platform.instance('cache-0');
  await using otherLoad = await startNodeLoad(platform, 'cache-1', 250);
  await using load = await startNodeLoad(platform, 'cache-0', 250);
  await until(load, 500);
  await node.restart();
  const back = load.now();
  await until(load, back + 1_500);
  const [report, other] = await Promise.all([load.stop(), otherLoad.stop()]);
  expectClean(other);
  expectNothingWrong(report);
  // Drained: nothing was sent without an answer, so no outcome is unknown.
  const specific = ['503 NODE_UNAVAILABLE', '503 DRAINING'];
  expect(Object.keys(report.failed.byReason).filter((reason) => !specific.includes(reason))).toEqual([]);
  expect(failedAfter(report, back + 1_000)).toBe(0);
}, 60_000);
