// `./bimetal load`.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LoadCommandOptions } from '../cli/commands/load.ts';
import { printJson, printLine } from '../cli/output.ts';
import { requireRun } from '../run/control-client.ts';
import { watchInterrupts } from '../run/signals.ts';
import { type Load, startLoad } from './load.ts';
import type { LoadOptions } from './options.ts';
import { plotOf } from './plot.ts';
import { exitCodeOf, type LoadReport } from './report.ts';
import { tableOf } from './table.ts';
import { targetOf } from './target.ts';

export const runLoad = async (given: LoadCommandOptions): Promise<void> => {
  const interrupts = watchInterrupts(() => process.exit(130));
  const load = startLoad({ ...optionsOf(given), signal: interrupts.first });
  const showing = showProgress(load);
  try {
    await Promise.race([load.ended, load.ready.then(() => load.ended)]);
    const report = await load.stop();
    showing.end();
    await write(report, given);
    process.exitCode = exitCodeOf(report);
  } finally {
    showing.end();
    interrupts.dispose();
  }
};

const optionsOf = (given: LoadCommandOptions): LoadOptions => {
  const { url, name, namespaces, rate, seconds, steps, stepSeconds, size, zipf } = given;
  const target = url === undefined ? targetOf(requireRun(name), namespaces) : { urls: url };
  const length = seconds ?? Number.POSITIVE_INFINITY;
  return {
    ...target,
    namespaces,
    steps: steps ? steps.map((rate) => ({ rate, seconds: stepSeconds })) : [{ rate, seconds: length }],
    mix: given.mix,
    keys: given.keys,
    sizes: size,
    skew: zipf === undefined ? { kind: 'uniform' } : { kind: 'zipf', exponent: zipf },
    idempotent: given.idempotent ?? false,
    ownersMayChange: given.ownersMayChange ?? false,
    connections: given.connections,
    ...(given.inFlight !== undefined && { maxInFlight: given.inFlight }),
    timeoutMs: given.timeout,
    lateMs: given.late,
    seed: given.seed,
  };
};

/** A line each second: on a terminal always the same one. */
const showProgress = (load: Load): { readonly end: () => void } => {
  const meter = load.meter();
  const isTerminal = process.stderr.isTTY;
  const timer = setInterval(() => {
    if (load.now() === 0) return;
    const { seconds, answered, latency } = meter.take();
    const { failed, lost, stale, wrong, notSent, late, inFlight } = load.counts;
    const parts = [
      `${Math.round(load.now() / 1_000)} s`,
      `${Math.round(answered / seconds)}/s`,
      `p50 ${latency.p50.toFixed(1)} p99 ${latency.p99.toFixed(1)} max ${latency.max.toFixed(1)} ms`,
      `${inFlight} in flight`,
      `${failed} failed, ${lost} lost, ${stale} stale, ${wrong} wrong, ${notSent} not sent, ${late} late`,
    ];
    const text = parts.join(' · ');
    process.stderr.write(isTerminal ? `\r${text.slice(0, (process.stderr.columns || 120) - 1)}\u001b[K` : `${text}\n`);
  }, 1_000);
  let ended = false;
  return {
    end: () => {
      if (ended) return;
      ended = true;
      clearInterval(timer);
      meter[Symbol.dispose]();
      if (isTerminal) process.stderr.write('\r\u001b[K');
    },
  };
};

const write = async (report: LoadReport, { json, out }: LoadCommandOptions): Promise<void> => {
  mkdirSync(out, { recursive: true });
  const base = join(out, `load-${report.startedAt.slice(0, 19).replaceAll(/[:T]/g, '-')}`);
  writeFileSync(`${base}.json`, `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(`${base}.svg`, await plotOf(report));
  if (json) printJson(report);
  else printLine(`${tableOf(report)}\nreport: ${base}.json, ${base}.svg`);
};
