// wrk (https://github.com/wg/wrk): one thread on the load's core, closed loop. Its latencies are those of a saturated
// server: throughput and CPU per request are what it is used for.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { loadCore } from './measure.ts';

export type WrkResult = {
  readonly requestsPerSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Answers other than 2xx and 3xx, and socket errors. */
  readonly failures: number;
};

const milliseconds = (text: string | undefined): number => {
  const [, number, unit] = /^([\d.]+)(us|ms|s)$/.exec(text ?? '') ?? [];
  const factor = unit === 'us' ? 0.001 : unit === 's' ? 1_000 : 1;
  return Number(number) * factor;
};

const numbersIn = (text: string | undefined): number =>
  (text?.match(/\d+/g) ?? []).reduce((sum, digits) => sum + Number(digits), 0);

export const wrk = async (
  url: string,
  connections: number,
  seconds: number,
  headers: readonly string[] = [],
): Promise<WrkResult> => {
  const fields = headers.flatMap((header) => ['-H', header]);
  const args = ['-c', loadCore, 'wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '--latency', ...fields, url];
  const { stdout } = await promisify(execFile)('taskset', args, { timeout: (seconds + 20) * 1_000 });
  const find = (pattern: RegExp): string | undefined => pattern.exec(stdout)?.[1];
  return {
    requestsPerSecond: Number(find(/Requests\/sec:\s+([\d.]+)/)),
    p50: milliseconds(find(/^\s+50%\s+(\S+)$/m)),
    p99: milliseconds(find(/^\s+99%\s+(\S+)$/m)),
    failures: numbersIn(find(/Non-2xx or 3xx responses: (\d+)/)) + numbersIn(find(/Socket errors: (.*)/)),
  };
};
