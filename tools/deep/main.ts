// `npm run test:deep`: what takes too long for `npm test`. See README.md.
import { parseArgs } from 'node:util';
import { failures } from '../../orchestrator/src/errors.ts';
import { closingLine, sumOf } from '../../orchestrator/src/tests/result.ts';
import { goFuzz } from './go-fuzz.ts';
import { httpCases } from './http-cases.ts';
import { failed, type Part, type PartResult } from './part.ts';
import { writeRecord } from './record.ts';
import { rustModel } from './rust-model.ts';
import { rustSanitizer } from './rust-sanitizer.ts';
import { soak } from './soak.ts';

const parts: Readonly<Record<string, Part>> = {
  http: httpCases,
  'go-fuzz': goFuzz,
  'rust-model': rustModel,
  'rust-sanitizer': rustSanitizer,
  soak,
};

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '3' },
    only: { type: 'string', default: Object.keys(parts).join(',') },
    record: { type: 'boolean', default: false },
  },
});
const minutes = Number(values.minutes);
const chosen = values.only.split(',');
const unknown = chosen.filter((name) => parts[name] === undefined);

const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort());
process.once('SIGTERM', () => interrupted.abort());

const runPart = async ({ name, run }: Part): Promise<PartResult & { name: string; seconds: number }> => {
  const begin = performance.now();
  console.log(`── ${name} ──`);
  const result = await run(minutes, interrupted.signal).catch((error: unknown) =>
    failed([], [error instanceof Error ? (error.stack ?? error.message) : String(error)]),
  );
  for (const figure of result.figures) console.log(`  ${figure}`);
  for (const reason of result.leftOut) console.log(`  left out: ${reason}`);
  for (const detail of result.details) console.log(detail.replaceAll(/^/gm, '  '));
  const seconds = Math.round((performance.now() - begin) / 1_000);
  console.log(`  ${closingLine(result)} (${seconds} s)\n`);
  return { ...result, name, seconds };
};

const main = async (): Promise<number> => {
  if (!(minutes > 0) || unknown.length > 0) {
    const known = Object.keys(parts).join(', ');
    console.error(
      unknown.length > 0
        ? `There is no part ${unknown.join(', ')}; there are ${known}.`
        : '--minutes takes a number above 0.',
    );
    return failures.USAGE.exitCode;
  }
  const results: Awaited<ReturnType<typeof runPart>>[] = [];
  for (const name of chosen) {
    const part = parts[name];
    if (part && !interrupted.signal.aborted) results.push(await runPart(part));
  }
  if (values.record) writeRecord(results, minutes);
  console.log(closingLine(sumOf(results)));
  if (interrupted.signal.aborted) return failures.INTERRUPTED.exitCode;
  return sumOf(results).failed > 0 ? failures.CHECK_FAILED.exitCode : 0;
};

process.exitCode = await main();
