// One node killed, and one stopped in its tracks, under 1,000 requests a second: its own keys fail fast and specifically,
// the other's see nothing, and it is used again within a second of its return.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { HttpClient } from '../support/http.ts';
import { isServed, type Load, type Outcome, startLoad } from '../support/load.ts';
import { useStage } from '../support/platform.ts';

const stage = useStage();
const rate = 1_000;
let http: HttpClient;
beforeAll(() => {
  // Half a second of answers may be owed for the silent node: callers of the other must not wait for connections.
  http = new HttpClient(stage().platform.instance('gateway-0').url('http'), 2 * rate);
});
afterAll(() => http?.close());

const until = (load: Load, ms: number): Promise<void> =>
  eventually(() => expect(load.now()).toBeGreaterThan(ms), ms + 60_000);

const expectOtherUntouched = (outcomes: readonly Outcome[], lost: string): void => {
  const failed = outcomes.filter((outcome) => outcome.node !== lost && !isServed(outcome));
  expect(failed).toEqual([]);
};

/** While a node is away its keys fail by one of these, and nothing else. */
const expectSpecific = (outcomes: readonly Outcome[], lost: string): void => {
  const reasons = new Set(
    outcomes.filter((o) => o.node === lost && !isServed(o)).map((o) => `${o.status} ${o.reason}`),
  );
  expect([...reasons].filter((r) => r !== '503 NODE_UNAVAILABLE' && r !== '504 OUTCOME_UNKNOWN')).toEqual([]);
  expect(reasons).toContain('503 NODE_UNAVAILABLE');
};

const slowest = (outcomes: readonly Outcome[]): number => Math.max(...outcomes.map((o) => o.end - o.due));

/**
 * The lost node's callers wait at most 500 ms, until its silence counts as down, longer than the slowest of the others
 * (who wait for this machine, if it is busy), and half of that again as room.
 */
const expectFast = (outcomes: readonly Outcome[], lost: string): void => {
  const others = slowest(outcomes.filter((o) => o.node !== lost));
  expect(slowest(outcomes.filter((o) => o.node === lost))).toBeLessThan(others + 750);
};

/** From `since` on, how long until the node's keys are served again, in milliseconds. */
const servedAgainAfter = (outcomes: readonly Outcome[], node: string, since: number): number => {
  const late = outcomes.filter((o) => o.node === node && o.due > since && !isServed(o));
  return Math.max(0, ...late.map((o) => o.due - since));
};

describe.each(['cache-0', 'cache-1'])('%s', (name) => {
  test('killed: fails fast, alone, and serves again within a second of its return', async () => {
    const { platform } = stage();
    const node = platform.instance(name);
    const load = startLoad(http, platform.topology.nodes, rate);
    await until(load, 1_000);
    await node.kill();
    await until(load, 2_500);
    await node.start();
    const back = load.now();
    await until(load, back + 2_000);
    const outcomes = await load.stop();
    expectOtherUntouched(outcomes, name);
    expectSpecific(outcomes, name);
    expectFast(outcomes, name);
    expect(servedAgainAfter(outcomes, name, back)).toBeLessThan(1_000);
  }, 60_000);

  test('stopped in its tracks: fails fast, alone, and serves again within a second of its return', async () => {
    const { platform } = stage();
    const node = platform.instance(name);
    const load = startLoad(http, platform.topology.nodes, rate);
    await until(load, 1_000);
    await node.pause();
    await until(load, 3_000);
    const resumed = load.now();
    await node.resume();
    await until(load, resumed + 2_000);
    const outcomes = await load.stop();
    expectOtherUntouched(outcomes, name);
    expectSpecific(outcomes, name);
    expectFast(outcomes, name);
    expect(servedAgainAfter(outcomes, name, resumed)).toBeLessThan(1_000);
  }, 60_000);
});
