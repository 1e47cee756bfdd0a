import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '../load/client.ts';
import { LatencyRecorder } from '../load/latency.ts';
import { Schedule } from '../load/schedule.ts';
import { failureOf } from '../load/verdict.ts';
import type { RolloutLimits } from './limits.ts';

/** Requests a second; enough in two seconds to see an error of one in a hundred (with a chance of 99 %). */
const rate = 250;
const connections = 64;
const timeoutMs = 5000;
const tickMs = 2;

export interface CanaryResult {
  readonly requests: number;
  readonly failed: number;
  /** What the first failure was. */
  readonly firstFailure: string | undefined;
  readonly p99Ms: number;
}

/** Sends a constant rate of harmless reads; latency counts from when a request was due. */
export const runCanary = async (url: string, durationMs: number, signal: AbortSignal): Promise<CanaryResult> => {
  const { origin, pathname } = new URL(url);
  const client = new Client({ urls: [origin], connections, timeoutMs });
  const schedule = new Schedule([{ rate, seconds: durationMs / 1000 }]);
  const latency = new LatencyRecorder();
  const failures: string[] = [];
  const begin = performance.now();
  const read = async (due: number): Promise<void> => {
    const outcome = await client.ask({ method: 'GET', path: pathname });
    latency.record(performance.now() - begin - due);
    // A miss, or whatever a caller may have asked for wrongly, is an answer.
    if (outcome.kind === 'broken' || outcome.status >= 500) failures.push(failureOf(outcome).why);
  };
  const sent: Promise<void>[] = [];
  for (let due = schedule.next; due !== undefined && !signal.aborted; due = schedule.next) {
    if (due > performance.now() - begin) await sleep(tickMs);
    else {
      sent.push(read(due));
      schedule.take();
    }
  }
  await Promise.all(sent);
  await client.close();
  signal.throwIfAborted();
  return {
    requests: sent.length,
    failed: failures.length,
    firstFailure: failures[0],
    p99Ms: latency.latency.p99,
  };
};

/** What speaks against a generation; undefined: nothing. The baseline was measured at the same time. */
export const judgeCanary = (
  result: CanaryResult,
  baseline: CanaryResult | undefined,
  limits: RolloutLimits,
): string | undefined => {
  if (result.requests > 0 && result.failed / result.requests > limits.errorRatio) {
    return `${result.failed} of ${result.requests} canary requests failed (${result.firstFailure})`;
  }
  const limit = Math.max(limits.p99Ms, 3 * (baseline?.p99Ms ?? 0));
  if (result.p99Ms > limit) return `the canary's p99 is ${ms(result.p99Ms)}, over ${ms(limit)}`;
  return undefined;
};

const ms = (value: number): string => `${value.toFixed(1)} ms`;
