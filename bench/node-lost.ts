// What the other node's callers notice when one node is killed, and when one is stopped in its tracks, at 1,000 requests
// a second: latency of its keys before, and while the node is away.
import type { Platform } from '../orchestrator/src/index.ts';
import { HttpClient } from '../tests/support/http.ts';
import { isServed, type Load, type Outcome, startLoad } from '../tests/support/load.ts';

export type NodeLostRow = {
  readonly fault: 'SIGKILL' | 'SIGSTOP';
  /** Milliseconds, of the keys of the node that stays: 5 s before and 5 s after the fault. */
  readonly p99Before: number;
  readonly p99During: number;
  /** Failed requests for keys of the node that stays. */
  readonly otherFailed: number;
  /** For keys of the lost node: which reasons, and the longest time to an answer in milliseconds. */
  readonly ownReasons: readonly string[];
  readonly ownSlowest: number;
  /** Milliseconds from the node's return to its first request without failures behind it. */
  readonly servedAgain: number;
};

const rate = 1_000;

const until = async (load: Load, ms: number): Promise<void> => {
  while (load.now() < ms) await new Promise((resolve) => setTimeout(resolve, 10));
};

const p99 = (outcomes: readonly Outcome[]): number => {
  const sorted = outcomes.map((o) => o.end - o.due).toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN;
};

export const measureNodeLost = async (platform: Platform): Promise<NodeLostRow[]> => {
  const http = new HttpClient(platform.instance('gateway-0').url('http'), 2 * rate);
  const node = platform.instance('cache-0');
  const rows: NodeLostRow[] = [];
  for (const fault of ['SIGKILL', 'SIGSTOP'] as const) {
    const load = startLoad(http, platform.topology.nodes, rate);
    await until(load, 6_000);
    const lost = load.now();
    await (fault === 'SIGKILL' ? node.kill() : node.pause());
    await until(load, lost + 5_000);
    if (fault === 'SIGSTOP') void node.resume();
    else await node.start();
    const back = load.now();
    await until(load, back + 3_000);
    const outcomes = await load.stop();
    const others = outcomes.filter((o) => o.node !== node.name);
    const failedOwn = outcomes.filter((o) => o.node === node.name && !isServed(o));
    rows.push({
      fault,
      p99Before: p99(others.filter((o) => o.due > 1_000 && o.due < lost)),
      p99During: p99(others.filter((o) => o.due >= lost && o.due < lost + 5_000)),
      otherFailed: others.filter((o) => !isServed(o)).length,
      ownReasons: [...new Set(failedOwn.map((o) => `${o.status} ${o.reason}`))],
      ownSlowest: Math.max(...failedOwn.map((o) => o.end - o.due)),
      servedAgain: Math.max(0, ...failedOwn.filter((o) => o.due > back).map((o) => o.due - back)),
    });
  }
  await http.close();
  return rows;
};
