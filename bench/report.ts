// docs/performance.md, docs/performance.json and the plot beside them.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HttpGetRow } from './http-get.ts';
import type { Figure } from './measure.ts';
import type { MemoryPerEntry, NodeRow } from './node.ts';
import type { NodeLostRow } from './node-lost.ts';

export type BenchReport = {
  readonly date: string;
  readonly machine: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly rounds: number;
  readonly secondsPerRound: number;
  readonly httpGet: readonly HttpGetRow[] | undefined;
  readonly node: readonly NodeRow[];
  readonly memory: MemoryPerEntry;
  readonly nodeLost: readonly NodeLostRow[];
  readonly leftOut: readonly string[];
};

const count = (value: number): string => value.toLocaleString('en-US', { maximumFractionDigits: 0 });
const figure = ({ median, min, max }: Figure, digits = 0): string => {
  const text = (value: number): string =>
    value.toLocaleString('en-US', { maximumFractionDigits: digits, minimumFractionDigits: digits });
  return `${text(median)} (${text(min)}–${text(max)})`;
};

const httpTable = (rows: readonly HttpGetRow[]): string => {
  const lines = rows.map((row) => {
    const floor = rows.find(
      (other) => other.side === 'floor' && other.bytes === row.bytes && other.connections === row.connections,
    );
    const ratio = floor === undefined ? '' : (row.cpuMsPer1000.median / floor.cpuMsPer1000.median).toFixed(2);
    const nodes = row.nodeCpuMsPer1000 === undefined ? '–' : figure(row.nodeCpuMsPer1000, 1);
    return `| ${row.side} | ${row.bytes} | ${row.connections} | ${figure(row.requestsPerSecond)} | ${figure(row.cpuMsPer1000, 1)} | ${ratio} | ${nodes} | ${row.p50.median.toFixed(2)} | ${row.p99.median.toFixed(2)} | ${row.failures} |`;
  });
  return `| side | bytes | connections | requests/s | CPU ms per 1,000 | ratio to the floor | nodes' CPU ms per 1,000 | p50 ms | p99 ms | failures |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
${lines.join('\n')}`;
};

const nodeTable = (rows: readonly NodeRow[]): string => {
  const peer = rows.find(({ side }) => side.startsWith('redis'));
  const lines = rows.map((row) => {
    const ratio = peer === undefined ? '' : (row.perServerCpuSecond.median / peer.perServerCpuSecond.median).toFixed(2);
    return `| ${row.side} | ${figure(row.operationsPerSecond)} | ${figure(row.perServerCpuSecond)} | ${ratio} |`;
  });
  return `| side | operations/s | operations per server CPU second | ratio to redis |
| --- | --- | --- | --- |
${lines.join('\n')}`;
};

const lostTable = (
  rows: readonly NodeLostRow[],
): string => `| fault | p99 of the other's keys before | while it is away | after its return | their requests | failed | not right | its own keys fail with | slowest of its own | served again after |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
${rows
  .map(
    (row) =>
      `| ${row.fault} | ${figure(row.p99Before, 1)} ms | ${figure(row.p99During, 1)} ms | ${figure(row.p99After, 1)} ms | ${count(row.otherRequests)} | ${row.otherFailed} | ${row.otherFlaws} | ${row.ownReasons.join(', ')} | ${figure(row.ownSlowest)} ms | ${figure(row.servedAgain)} ms |`,
  )
  .join('\n')}`;

const lostText = (rows: readonly NodeLostRow[]): string => {
  const [row] = rows;
  if (row === undefined) return 'Not measured.';
  return `1,000 requests a second through the gateway for keys of the node that stays, one in five a write, and 200 a second for keys
of the node that goes; windows of ${row.windowSeconds} s, medians with the smallest and the largest of the rounds. Latency from the time at
which a request was due. The load itself stood still for ${figure(row.stall, 1)} ms (p99): below that it cannot tell.`;
};

const markdown = (
  report: BenchReport,
): string => `<!-- Written by \`npm run bench\`; what is said beside the tables is in bench/report.ts. -->
# Performance

${report.date}, ${report.machine}. ${Object.entries(report.versions)
  .map(([name, version]) => `${name}: ${version}`)
  .join(
    '; ',
  )}. ${report.rounds} rounds of ${report.secondsPerRound} s a side, alternating; medians with the smallest and the
largest round; servers on core 0, load on core 1. Figures of a shared machine wander: read the ratios.
${report.leftOut.map((what) => `\nLeft out: ${what}.`).join('')}

## HTTP GET through the gateway

\`wrk\` with one thread, closed loop: it saturates the server's core, which gateway and both nodes share, so latencies are
those of a full server. The floor is a static handler on net/http with chi that sends the same header fields.

${report.httpGet === undefined ? 'Not measured.' : httpTable(report.httpGet)}

![HTTP GET](performance.svg)

## One node by gRPC

\`cache-rust/server/examples/load.rs\`, 100,000 entries of 64 bytes, 4 streams with 4 batches on the way. redis without
persistence, \`redis-benchmark -c 4 -P 64\`: its protocol is leaner than gRPC, and a line that is lost to it is lost.

${nodeTable(report.node)}

## Memory

${count(report.memory.entries)} entries of a 20-byte key and a 32-byte value take ${report.memory.bytesPerEntry.toFixed(1)} bytes of resident memory each, ${report.memory.overKeyAndValue.toFixed(1)} over key
and value.

## A node is lost

${lostText(report.nodeLost)}

${lostTable(report.nodeLost)}
`;

const plot = async (rows: readonly HttpGetRow[]): Promise<string> => {
  const echarts = await import('echarts');
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 900, height: 420 });
  const groups = [...new Set(rows.map((row) => `${row.bytes} B, ${row.connections} connections`))];
  const of = (side: HttpGetRow['side']): number[] =>
    rows.filter((row) => row.side === side).map((row) => Number(row.cpuMsPer1000.median.toFixed(1)));
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: { text: 'CPU for 1,000 GET requests (ms, smaller is better)', left: 'center', textStyle: { fontSize: 15 } },
    legend: { top: 30 },
    grid: { left: 60, right: 20, top: 70, bottom: 40 },
    xAxis: { type: 'category', data: groups },
    yAxis: { type: 'value', name: 'ms' },
    series: (['gateway', 'floor'] as const).map((side) => ({
      name: side,
      type: 'bar',
      data: of(side),
      label: { show: true, position: 'top' },
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
};

export const writeReport = async (docs: string, report: BenchReport): Promise<void> => {
  writeFileSync(join(docs, 'performance.md'), markdown(report));
  writeFileSync(join(docs, 'performance.json'), `${JSON.stringify(report, null, 2)}\n`);
  if (report.httpGet !== undefined) writeFileSync(join(docs, 'performance.svg'), await plot(report.httpGet));
};
