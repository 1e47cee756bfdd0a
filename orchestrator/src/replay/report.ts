// The report of a replay: as a table for people and as JSON.
import type { Histogram } from 'hdr-histogram-js';
import type { ReplayResult } from './replay.ts';

export const percentiles = [50, 90, 99, 99.9, 99.99] as const;

type Latency = { readonly [percentile: string]: number };

export type ReplayReport = Omit<ReplayResult, 'readLatency' | 'writeLatency' | 'nodes' | 'lruWhole'> & {
  readonly hitRatio: number;
  readonly lru: { readonly whole: number; readonly splitByNode: number };
  readonly referencesPerSecond: number;
  readonly requestsPerSecond: number;
  readonly nodes: readonly {
    readonly name: string;
    readonly hitRatio: number;
    readonly lruHitRatio: number;
    readonly references: number;
  }[];
  /** Microseconds by percentile, and max. */
  readonly readLatencyMicroseconds: Latency;
  readonly writeLatencyMicroseconds: Latency;
};

const ratio = (hits: number, misses: number): number => (hits + misses === 0 ? 0 : hits / (hits + misses));

const latency = (histogram: Histogram): Latency => ({
  ...Object.fromEntries(percentiles.map((p) => [`p${p}`, histogram.getValueAtPercentile(p)])),
  max: histogram.maxValue,
});

export const reportOf = ({ readLatency, writeLatency, lruWhole, ...result }: ReplayResult): ReplayReport => {
  const split = result.nodes.reduce(
    (sum, node) => ({ hits: sum.hits + node.lruHits, misses: sum.misses + node.lruMisses }),
    {
      hits: 0,
      misses: 0,
    },
  );
  return {
    ...result,
    hitRatio: ratio(result.hits, result.misses),
    lru: { whole: ratio(lruWhole.hits, lruWhole.misses), splitByNode: ratio(split.hits, split.misses) },
    referencesPerSecond: result.references / result.seconds,
    requestsPerSecond: (result.reads + result.writes) / result.seconds,
    nodes: result.nodes.map((node) => ({
      name: node.name,
      references: node.hits + node.misses,
      hitRatio: ratio(node.hits, node.misses),
      lruHitRatio: ratio(node.lruHits, node.lruMisses),
    })),
    readLatencyMicroseconds: latency(readLatency),
    writeLatencyMicroseconds: latency(writeLatency),
  };
};

const percent = (value: number): string => `${(value * 100).toFixed(2)} %`;
const count = (value: number): string => value.toLocaleString('en-US', { maximumFractionDigits: 0 });
const milliseconds = (microseconds: number | undefined): string => `${((microseconds ?? 0) / 1_000).toFixed(2)} ms`;

const rows = (report: ReplayReport): [string, string][] => {
  const { options, room } = report;
  const errors = Object.entries(report.errors);
  return [
    [
      'trace',
      `${options.file}, ${count(report.references)} references${options.rate === undefined ? ', as fast as it can' : `, ${options.rate} a second`}, ${options.connections} connections`,
    ],
    [
      'room',
      `${count(options.entries)} entries of ${options.valueBytes} bytes (${room.entryBytes.toFixed(1)} bytes of memory each)`,
    ],
    ['hits, misses', `${count(report.hits)}, ${count(report.misses)}`],
    ['hit ratio', percent(report.hitRatio)],
    ['  exact LRU, split by node', percent(report.lru.splitByNode)],
    ['  exact LRU, whole', percent(report.lru.whole)],
    ...report.nodes.map((node): [string, string] => [
      `  ${node.name}`,
      `${percent(node.hitRatio)} of ${count(node.references)} (exact LRU ${percent(node.lruHitRatio)})`,
    ]),
    ['throughput', `${count(report.requestsPerSecond)} requests a second, ${report.seconds.toFixed(1)} s`],
    ...(['read', 'write'] as const).map((kind): [string, string] => [
      `${kind} latency`,
      Object.entries(kind === 'read' ? report.readLatencyMicroseconds : report.writeLatencyMicroseconds)
        .map(([name, value]) => `${name} ${milliseconds(value)}`)
        .join(', '),
    ]),
    ['errors', errors.length === 0 ? 'none' : errors.map(([what, times]) => `${what}: ${count(times)}`).join('; ')],
  ];
};

export const tableOf = (report: ReplayReport): string => {
  const lines = rows(report);
  const width = Math.max(...lines.map(([name]) => name.length));
  return lines.map(([name, text]) => `${name.padEnd(width)}  ${text}`).join('\n');
};
