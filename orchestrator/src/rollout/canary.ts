import { Pool } from 'undici';
import type { RolloutLimits } from './limits.ts';

/** Requests a second; enough in two seconds to see an error of one in a hundred (with a chance of 99 %). */
const ratePerSecond = 250;
const connections = 64;
const timeoutMs = 5000;

export interface CanaryResult {
  readonly requests: number;
  readonly failed: number;
  /** What the first failure was. */
  readonly firstFailure: string | undefined;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Sends a constant rate of harmless reads; latency counts from when a request was due. */
export const runCanary = async (url: string, durationMs: number, signal: AbortSignal): Promise<CanaryResult> => {
  const { origin, pathname, search } = new URL(url);
  const pool = new Pool(origin, { connections, headersTimeout: timeoutMs, bodyTimeout: timeoutMs });
  const latencies: number[] = [];
  let failed = 0;
  let firstFailure: string | undefined;
  const fail = (what: string): void => {
    failed += 1;
    firstFailure ??= what;
  };
  const send = async (due: number): Promise<void> => {
    try {
      const answer = await pool.request({ path: `${pathname}${search}`, method: 'GET' });
      await answer.body.dump();
      if (answer.statusCode >= 500) fail(`status ${answer.statusCode}`);
    } catch (error) {
      fail(error instanceof Error ? error.message : String(error));
    }
    latencies.push(performance.now() - due);
  };
  const started = performance.now();
  const sent: Promise<void>[] = [];
  await new Promise<void>((resolve) => {
    const ticking = setInterval(() => {
      const elapsed = Math.min(performance.now() - started, durationMs);
      while (sent.length < (elapsed * ratePerSecond) / 1000)
        sent.push(send(started + (sent.length * 1000) / ratePerSecond));
      if (elapsed < durationMs && !signal.aborted) return;
      clearInterval(ticking);
      resolve();
    }, 2);
  });
  await Promise.all(sent);
  await pool.destroy();
  signal.throwIfAborted();
  latencies.sort((a, b) => a - b);
  const at = (quantile: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * quantile))] ?? 0;
  return { requests: latencies.length, failed, firstFailure, p50Ms: at(0.5), p99Ms: at(0.99) };
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
