// A load of one node's keys alone: what its callers notice, and what those of another node do, are two reports.
import { expect } from '@jest/globals';
import { ownerOf } from '../../contract/ts/index.ts';
import { type LoadReport, type Platform, startLoad } from '../../orchestrator/src/index.ts';
import type { Load } from '../../orchestrator/src/load/index.ts';
import { eventually } from './eventually.ts';

/** `rate` requests a second, straight at gateway-0. Every key has been written once when it resolves. */
export const startNodeLoad = async (platform: Platform, node: string, rate: number): Promise<Load> => {
  const { nodes } = platform.topology;
  const load = startLoad({
    urls: [platform.instance('gateway-0').url('http')],
    rate,
    // While answers are owed, each request needs a connection: else the load would wait for itself.
    connections: 2 * rate,
    accepts: (namespace, key) => ownerOf(nodes, namespace, key)?.name === node,
  });
  await load.ready;
  return load;
};

/** Resolves so many milliseconds after the load began. */
export const until = (load: Load, ms: number): Promise<void> =>
  eventually(() => expect(load.now()).toBeGreaterThan(ms), ms + 60_000);

/** How many requests failed later than so many milliseconds after the load began. */
export const failedAfter = ({ windows }: LoadReport, ms: number): number =>
  windows.filter(({ at, milliseconds }) => at + milliseconds > ms).reduce((sum, { failed }) => sum + failed, 0);

const none = expect.objectContaining({ total: 0 });

/** What holds of a node that loses its entries, too. */
export const expectNothingWrong = ({ stale, wrong, notSent, unverified }: LoadReport): void =>
  expect({ stale, wrong, notSent, unverified }).toEqual({ stale: none, wrong: none, notSent: none, unverified: 0 });

/** Every request was answered, every answer was right, and no write is gone. */
export const expectClean = (report: LoadReport): void => {
  const { failed, lost } = report;
  expect({ failed, lost }).toEqual({ failed: none, lost: none });
  expectNothingWrong(report);
};

/** While a node is away its keys fail by one of these, and nothing else. */
export const expectSpecific = ({ failed }: LoadReport): void => {
  const reasons = Object.keys(failed.byReason);
  expect(reasons.filter((r) => r !== '503 NODE_UNAVAILABLE' && r !== '504 OUTCOME_UNKNOWN')).toEqual([]);
  expect(reasons).toContain('503 NODE_UNAVAILABLE');
};

/**
 * The lost node's callers wait at most 500 ms, until its silence counts as down, longer than the slowest of the others
 * (who wait for this machine, if it is busy), and half of that again as room.
 */
export const expectFast = (lost: LoadReport, other: LoadReport): void =>
  expect(lost.latency.max).toBeLessThan(other.latency.max + 750);
