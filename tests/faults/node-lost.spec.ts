// One node killed, and one stopped in its tracks, under 1,000 requests a second: its own keys fail fast and specifically,
// the other's see nothing, and it is used again within a second of its return.
import { describe, expect, test } from '@jest/globals';
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
const rate = 500;

describe.each([
  ['cache-0', 'cache-1'],
  ['cache-1', 'cache-0'],
])('%s', (name, otherName) => {
  test('killed: fails fast, alone, and serves again within a second of its return', async () => {
    const { platform } = stage();
    const node = platform.instance(name);
    await using otherLoad = await startNodeLoad(platform, otherName, rate);
    await using load = await startNodeLoad(platform, name, rate);
    await until(load, 1_000);
    await node.kill();
    await until(load, 2_500);
    await node.start();
    const back = load.now();
    await until(load, back + 2_000);
    const [lost, other] = await Promise.all([load.stop(), otherLoad.stop()]);
    expectClean(other);
    expectNothingWrong(lost);
    expectSpecific(lost);
    expectFast(lost, other);
    expect(failedAfter(lost, back + 1_000)).toBe(0);
  }, 60_000);

  test('stopped in its tracks: fails fast, alone, loses nothing, and serves again within a second of its return', async () => {
    const { platform } = stage();
    const node = platform.instance(name);
    await using otherLoad = await startNodeLoad(platform, otherName, rate);
    await using load = await startNodeLoad(platform, name, rate);
    await until(load, 1_000);
    await node.pause();
    await until(load, 3_000);
    const resumed = load.now();
    await node.resume();
    await until(load, resumed + 2_000);
    const [lost, other] = await Promise.all([load.stop(), otherLoad.stop()]);
    expectClean(other);
    expectNothingWrong(lost);
    expect(lost.lost.total).toBe(0);
    expectSpecific(lost);
    expectFast(lost, other);
    expect(failedAfter(lost, resumed + 1_000)).toBe(0);
  }, 60_000);
});
