import type { Latency } from './latency.ts';
import { kinds } from './options.ts';
import { type Count, isClean, type LoadReport } from './report.ts';

const number = (value: number, digits = 0): string =>
  value.toLocaleString('en-US', { maximumFractionDigits: digits, minimumFractionDigits: digits });

const milliseconds = (value: number): string => `${number(value, value < 10 ? 2 : 1)} ms`;

const latencyText = ({ p50, p90, p99, p999, max }: Latency): string =>
  `p50 ${milliseconds(p50)}, p90 ${milliseconds(p90)}, p99 ${milliseconds(p99)}, p99.9 ${milliseconds(p999)}, max ${milliseconds(max)}`;

/** A total and, below it, its reasons. */
const countRows = (name: string, { total, byReason }: Count): string[][] => [
  [name, number(total)],
  ...Object.entries(byReason).map(([reason, count]) => [`  ${reason}`, number(count)]),
];

const rowsOf = (report: LoadReport): string[][] => [
  [
    'requests',
    `${number(report.sent)} in ${number(report.seconds, 1)} s, ${number(report.sent / report.seconds)} a second`,
  ],
  ...(report.steps.length > 1
    ? report.steps.map(({ rate, seconds, answered, failed, latency }) => [
        `  ${number(rate)} a second`,
        `${number(answered / seconds)} answered a second, ${number(failed)} failed, p50 ${milliseconds(latency.p50)}, p99 ${milliseconds(latency.p99)}`,
      ])
    : []),
  ...countRows('failed', report.failed),
  ...countRows('lost', report.lost),
  ...countRows('stale', report.stale),
  ...countRows('wrong', report.wrong),
  ...countRows('not sent', report.notSent),
  ...countRows('late', report.late),
  ...(report.retried.total > 0 ? countRows('repeated under their key', report.retried) : []),
  ...(report.conflicts > 0 ? [['explained conflicts', number(report.conflicts)]] : []),
  ...(report.moved.total > 0 ? countRows('moved to another owner', report.moved) : []),
  ...(report.evicted ? [['evicted', number(report.evicted)]] : []),
  ...(report.unverified > 0 ? [['keys not readable at the end', number(report.unverified)]] : []),
  ...(report.notSwept > 0 ? [['keys left behind', number(report.notSwept)]] : []),
  ['latency', latencyText(report.latency)],
  ...kinds
    .filter((kind) => report.latencyByKind[kind].answered > 0)
    .map((kind) => [
      `  ${kind} (${number(report.latencyByKind[kind].answered)})`,
      latencyText(report.latencyByKind[kind]),
    ]),
  ['the load itself stood still', `p99 ${milliseconds(report.stalls.p99)}, max ${milliseconds(report.stalls.max)}`],
  ['verdict', isClean(report) ? 'every request was answered, every answer is right' : 'not clean'],
];

export const tableOf = (report: LoadReport): string => {
  const rows = rowsOf(report);
  const width = Math.max(...rows.map(([name = '']) => name.length));
  return rows.map(([name = '', text = '']) => `${name.padEnd(width)}  ${text}`).join('\n');
};
