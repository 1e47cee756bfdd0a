// From saving an edit to every instance serving it, while requests go through at 500 a second. It edits real files of
// this checkout, which has to be clean, and puts them back:   node bench/edit-to-serving.ts [--rounds 10] [--only go]
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type DevRound, develop } from '../orchestrator/src/dev/dev.ts';
import { type LoadReport, startLoad, startPlatform } from '../orchestrator/src/index.ts';
import { root } from '../orchestrator/src/root.ts';
import { figureOf } from './measure.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '10' }, only: { type: 'string' } } });
const rounds = Number(values.rounds);

/** Touched files, and what the generator makes of them. */
const edited = ['services', 'gateway-go', 'cache-rust', 'proto', 'contract', 'docs/errors.md'];

interface Edit {
  readonly name: string;
  readonly file: string;
  readonly edit: (text: string, round: number) => string;
}

const edits: readonly Edit[] = [
  {
    name: 'typescript',
    file: 'services/example-ts/src/app.ts',
    edit: (text, round) => text.replace(/'request failed.*?'/, `'request failed (${round})'`),
  },
  {
    name: 'go',
    file: 'gateway-go/internal/health/health.go',
    edit: (text, round) => text.replace(/"ready.*?"/, `"ready${' '.repeat(round)}"`),
  },
  {
    name: 'rust',
    file: 'cache-rust/server/src/serve.rs',
    edit: (text, round) => `${text.replace(/\nconst _ROUND.*\n$/, '\n')}\nconst _ROUND: u32 = ${round};\n`,
  },
  {
    name: 'contract',
    file: 'proto/bimetal/control/v1/control_service.proto',
    // Each round adds a field: to take one away would break those who run the round before. (A message that Rust builds
    // field by field would not compile with another one: that is a change of its code, too.)
    edit: (text, round) =>
      text.replace(
        'message DrainRequest {',
        `message DrainRequest {\n  // Of round ${round}.\n  bool round_${round} = ${round + 1};`,
      ),
  },
];

const git = (...args: string[]): string => execFileSync('git', args, { cwd: root, encoding: 'utf8' });
if (git('status', '--porcelain', '--', ...edited).trim() !== '')
  throw new Error('the checkout has changes: commit them first');

const measure = async ({ name, file, edit }: Edit): Promise<void> => {
  await using platform = await startPlatform({
    name: 'edit-to-serving',
    ports: 'free',
    driver: 'process',
    quiet: true,
  });
  const over = new AbortController();
  let arrived: ((round: DevRound) => void) | undefined;
  const developing = develop(platform, { signal: over.signal, onRound: (round) => arrived?.(round) });
  const load = startLoad({ urls: [`http://${platform.endpoint('gateway.http')}`], rate: 500, keys: 500 });
  await load.ready;
  const all: { readonly serving: number; readonly build: number }[] = [];
  const path = join(root, file);
  for (let round = 1; round <= rounds; round += 1) {
    const { promise, resolve } = Promise.withResolvers<DevRound>();
    arrived = resolve;
    const saved = performance.now();
    writeFileSync(path, edit(readFileSync(path, 'utf8'), round));
    const one = await promise;
    const noticedMs = performance.now() - saved - one.totalMs;
    const serving = Math.max(0, ...one.services.map(({ servingMs }) => servingMs)) + noticedMs;
    all.push({ serving, build: Math.max(0, ...one.services.map(({ buildMs }) => buildMs)) });
    const parts = one.services.map(
      (s) => `${s.service} ${s.outcome}, build ${s.buildMs} ms, serving ${s.servingMs} ms`,
    );
    console.error(`${name} ${round}/${rounds}: ${Math.round(serving)} ms (${parts.join('; ')})`);
  }
  const report: LoadReport = await load.stop();
  over.abort();
  await developing;
  const total = figureOf(all.map(({ serving }) => serving));
  const build = figureOf(all.map(({ build }) => build));
  const ms = (value: number): string => `${Math.round(value)} ms`;
  console.log(
    `${name}: serving after ${ms(total.median)} (${ms(total.min)} to ${ms(total.max)}), of it the compiler ${ms(build.median)}; ` +
      `${report.sent} requests, ${report.failed.total} failed, ${report.lost.total} lost, ${report.stale.total} stale, p99 ${report.latency.p99.toFixed(1)} ms`,
  );
};

try {
  for (const one of edits) if (values.only === undefined || values.only === one.name) await measure(one);
} finally {
  git('checkout', '--', ...edited);
}
