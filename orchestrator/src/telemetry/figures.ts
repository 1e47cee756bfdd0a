import { type Sample, sumOf } from './prometheus.ts';

/** What the status page shows of an instance's metrics. Counters grow from the start of the process. */
export interface Figures {
  readonly requests: number | undefined;
  readonly errors: number | undefined;
  readonly hits: number | undefined;
  readonly misses: number | undefined;
  readonly entries: number | undefined;
  readonly bytes: number | undefined;
}

export interface Rates {
  readonly requestsPerSecond: number;
  readonly errorsPerSecond: number;
  /** 0 to 1; absent when nothing was looked up. */
  readonly hitRatio: number | undefined;
}

const isFailure = ({ reason }: Sample['labels']): boolean => reason === 'INTERNAL' || reason === 'OVERLOADED';

const total = (
  samples: readonly Sample[],
  names: readonly string[],
  matches?: (labels: Sample['labels']) => boolean,
): number => names.reduce((sum, name) => sum + (sumOf(samples, name, matches) ?? 0), 0);

/** Which metrics mean what, by service. docs/operations.md lists them all. */
const readers: Readonly<Record<string, (samples: readonly Sample[]) => Figures>> = {
  gateway: (samples) => ({
    requests: sumOf(samples, 'bimetal_gateway_http_requests_total'),
    errors: sumOf(samples, 'bimetal_gateway_http_requests_total', ({ status = '' }) => status.startsWith('5')),
    hits: undefined,
    misses: undefined,
    entries: undefined,
    bytes: undefined,
  }),
  cache: (samples) => ({
    // Operations of Pipeline streams and RPCs of their own.
    requests: total(samples, ['bimetal_cache_operations_total', 'bimetal_cache_rpcs_total']),
    errors: total(samples, ['bimetal_cache_operations_total', 'bimetal_cache_rpcs_total'], isFailure),
    hits: sumOf(samples, 'bimetal_cache_hits_total'),
    misses: sumOf(samples, 'bimetal_cache_misses_total'),
    entries: sumOf(samples, 'bimetal_cache_entries'),
    bytes: sumOf(samples, 'bimetal_cache_entry_bytes'),
  }),
};

const nothing: Figures = {
  requests: undefined,
  errors: undefined,
  hits: undefined,
  misses: undefined,
  entries: undefined,
  bytes: undefined,
};

export const figuresOf = (service: string, samples: readonly Sample[]): Figures =>
  readers[service]?.(samples) ?? nothing;

/** A counter that went back is one of a new process: it started at zero. */
const grown = (before: number | undefined, after: number | undefined): number => {
  if (after === undefined) return 0;
  return before === undefined || after < before ? after : after - before;
};

export const ratesBetween = (before: Figures, after: Figures, seconds: number): Rates => {
  const hits = grown(before.hits, after.hits);
  const misses = grown(before.misses, after.misses);
  return {
    requestsPerSecond: grown(before.requests, after.requests) / seconds,
    errorsPerSecond: grown(before.errors, after.errors) / seconds,
    hitRatio: hits + misses > 0 ? hits / (hits + misses) : undefined,
  };
};
