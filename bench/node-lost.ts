// What the other node's callers notice when one node is killed, and when one is stopped in its tracks, at 1,000 requests
// a second for keys of the node that stays: their latency in the 10 s before, while the node is away, and after its return.
// A second, smaller load asks for keys of the node that goes, and tells how those fail.
import { ownerOf } from '../contract/ts/index.ts';
import type { Instance, Platform } from '../orchestrator/src/index.ts';
import { type Load, type LoadReport, type Reading, startLoad, type Window } from '../orchestrator/src/load/index.ts';
import { type Figure, figureOf } from './measure.ts';

const faults = ['SIGKILL', 'SIGSTOP'] as const;
type Fault = (typeof faults)[number];

export type NodeLostRow = {
  readonly fault: Fault;
  readonly windowSeconds: number;
  /** Milliseconds, of the keys of the node that stays. */
  readonly p99Before: Figure;
  readonly p99During: Figure;
  readonly p99After: Figure;
  /** How long the load itself stood still (p99): what the latencies cannot tell. */
  readonly stall: Figure;
  /** Requests for keys of the node that stays, in all rounds; those that failed; answers that were not right. */
  readonly otherRequests: number;
  readonly otherFailed: number;
  readonly otherFlaws: number;
  /** For keys of the lost node: which reasons, and the longest time to an answer in milliseconds. */
  readonly ownReasons: readonly string[];
  readonly ownSlowest: Figure;
  /** Milliseconds from the node's return to the end of the last 100 ms in which one of its keys failed. */
  readonly servedAgain: Figure;
};

const otherRate = 1_000;
const ownRate = 200;

const sleep = (seconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, seconds * 1_000));

type Round = {
  readonly before: Reading;
  readonly during: Reading;
  readonly after: Reading;
  readonly other: LoadReport;
  readonly own: LoadReport;
  readonly ownSlowest: number;
  readonly servedAgain: number;
};

const startOn = async (platform: Platform, rate: number, isMine: (owner: string) => boolean): Promise<Load> => {
  const { nodes } = platform.topology;
  const load = startLoad({
    urls: [platform.instance('gateway-0').url('http')],
    rate,
    mix: { read: 80, write: 20 },
    // Nothing may wait for a connection of the load: each request without an answer has one of its own.
    connections: 2 * rate,
    accepts: (namespace, key) => isMine(ownerOf(nodes, namespace, key)?.name ?? ''),
  });
  await load.ready;
  return load;
};

const begin = (node: Instance, fault: Fault): Promise<void> => (fault === 'SIGKILL' ? node.kill() : node.pause());
const end = (node: Instance, fault: Fault): Promise<void> => (fault === 'SIGKILL' ? node.start() : node.resume());

const oneRound = async (platform: Platform, fault: Fault, windowSeconds: number): Promise<Round> => {
  const node = platform.instance('cache-0');
  const other = await startOn(platform, otherRate, (owner) => owner !== node.name);
  const own = await startOn(platform, ownRate, (owner) => owner === node.name);
  const meters = { other: other.meter(), own: own.meter() };
  await sleep(1);
  meters.other.take();
  await sleep(windowSeconds);
  const before = meters.other.take();
  meters.own.take();
  const wentAt = performance.now();
  await begin(node, fault);
  await sleep(windowSeconds - (performance.now() - wentAt) / 1_000);
  const during = meters.other.take();
  const ownSlowest = meters.own.take().latency.max;
  await end(node, fault);
  const back = own.now();
  meters.other.take();
  await sleep(windowSeconds);
  const after = meters.other.take();
  const [otherReport, ownReport] = await Promise.all([other.stop(), own.stop()]);
  const servedAgain = afterReturn(ownReport.windows, back);
  return { before, during, after, other: otherReport, own: ownReport, ownSlowest, servedAgain };
};

const afterReturn = (windows: readonly Window[], back: number): number => {
  const last = windows.findLast(({ at, milliseconds, failed }) => failed > 0 && at + milliseconds > back);
  return last === undefined ? 0 : last.at + last.milliseconds - back;
};

const sum = (rounds: readonly Round[], count: (round: Round) => number): number =>
  rounds.reduce((total, round) => total + count(round), 0);

const rowOf = (fault: Fault, windowSeconds: number, rounds: readonly Round[]): NodeLostRow => {
  const figure = (value: (round: Round) => number): Figure => figureOf(rounds.map(value));
  return {
    fault,
    windowSeconds,
    p99Before: figure(({ before }) => before.latency.p99),
    p99During: figure(({ during }) => during.latency.p99),
    p99After: figure(({ after }) => after.latency.p99),
    stall: figure(({ other }) => other.stalls.p99),
    otherRequests: sum(rounds, ({ other }) => other.sent),
    otherFailed: sum(rounds, ({ other }) => other.failed.total + other.notSent.total),
    otherFlaws: sum(rounds, ({ other }) => other.lost.total + other.stale.total + other.wrong.total),
    ownReasons: [...new Set(rounds.flatMap(({ own }) => Object.keys(own.failed.byReason)))],
    ownSlowest: figure(({ ownSlowest }) => ownSlowest),
    servedAgain: figure(({ servedAgain }) => servedAgain),
  };
};

/** The faults take turns, so that a slow minute of the machine hits both. */
export const measureNodeLost = async (
  platform: Platform,
  rounds: number,
  windowSeconds: number,
): Promise<NodeLostRow[]> => {
  const found: Record<Fault, Round[]> = { SIGKILL: [], SIGSTOP: [] };
  for (let round = 0; round < rounds; round++)
    for (const fault of faults) found[fault].push(await oneRound(platform, fault, windowSeconds));
  return faults.map((fault) => rowOf(fault, windowSeconds, found[fault]));
};
