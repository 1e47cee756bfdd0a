import { http } from '../process/http.ts';
import { parseMetrics, type Sample, sumOf } from '../telemetry/prometheus.ts';
import type { RolloutLimits } from './limits.ts';

/** Callers' requests to a gateway since its start. */
export interface Traffic {
  readonly requests: number;
  readonly failed: number;
  /** Upper bounds in seconds, ascending, with how many requests took at most so long. */
  readonly buckets: readonly (readonly [seconds: number, count: number])[];
}

/** Below this many requests a share says nothing. */
const enough = 100;

export const readTraffic = async (probeUrl: string): Promise<Traffic> => {
  const answer = await http(`${probeUrl}/metrics`);
  const samples = parseMetrics(answer.body.toString());
  const requests = sumOf(samples, 'bimetal_gateway_http_requests_total') ?? 0;
  const failed =
    sumOf(samples, 'bimetal_gateway_http_requests_total', ({ status = '' }) => status.startsWith('5')) ?? 0;
  return { requests, failed, buckets: bucketsOf(samples) };
};

const bucketsOf = (samples: readonly Sample[]): [number, number][] => {
  const sums = new Map<number, number>();
  for (const { name, labels, value } of samples) {
    if (name !== 'bimetal_gateway_http_request_duration_seconds_bucket') continue;
    const bound = Number(labels['le'] === '+Inf' ? Number.POSITIVE_INFINITY : labels['le']);
    sums.set(bound, (sums.get(bound) ?? 0) + value);
  }
  return [...sums].sort(([a], [b]) => a - b);
};

const slowerThan = ({ buckets }: Traffic, limitMs: number): number => {
  const within = buckets.find(([seconds]) => seconds >= limitMs / 1000)?.[1] ?? 0;
  return (buckets.at(-1)?.[1] ?? 0) - within;
};

/** What speaks against a gateway by what callers saw; undefined: nothing, or too few requests to say. */
export const judgeTraffic = (before: Traffic, after: Traffic, limits: RolloutLimits): string | undefined => {
  const requests = after.requests - before.requests;
  if (requests < enough) return undefined;
  const failed = after.failed - before.failed;
  if (failed / requests > limits.errorRatio) return `${failed} of ${requests} requests of callers failed`;
  const slow = slowerThan(after, limits.p99Ms) - slowerThan(before, limits.p99Ms);
  if (slow / requests > 0.01) return `${slow} of ${requests} requests of callers took over ${limits.p99Ms} ms`;
  return undefined;
};
