import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildSteps } from '../build/build.ts';
import { imageStep } from '../build/images.ts';
import type { TestOptions } from '../cli/commands/test.ts';
import { printJson, printLine } from '../cli/output.ts';
import { drawSteps } from '../cli/progress.ts';
import type { DriverKind } from '../drivers/driver.ts';
import { failures, OrchestratorError } from '../errors.ts';
import { platform } from '../model/platform.ts';
import type { Platform } from '../platform/platform.ts';
import { startPlatform } from '../platform/start.ts';
import { Child } from '../process/child.ts';
import { Reaper } from '../process/reaper-client.ts';
import { root, stateFolder } from '../root.ts';
import { requireRun } from '../run/control-client.ts';
import { watchInterrupts } from '../run/signals.ts';
import { sentenceOf } from '../toolchain/choose.ts';
import { detectCompose, detectEngine, detectGo, detectRust } from '../toolchain/detect.ts';
import { countCargo, countGo, countJest, type JestReport, parseEvent } from './counting.ts';
import { type Counts, closingLine, type RunnerResult, sumOf } from './result.ts';

interface Context {
  readonly reaper: Reaper;
  readonly suites: readonly string[];
  readonly signal: AbortSignal;
  /** Where the runners' output goes: away from the one JSON value of `--json`. */
  readonly show: (line: string) => void;
}

/** Runs the runners one after the other: each uses all cores by itself. The exit code says whether all passed. */
export const runTests = async (suites: readonly string[], options: TestOptions): Promise<void> => {
  const interrupts = watchInterrupts(() => process.exit(failures.INTERRUPTED.exitCode));
  const reaper = Reaper.start();
  const show = options.json ? (line: string): void => void process.stderr.write(`${line}\n`) : printLine;
  const context: Context = { reaper, suites, signal: interrupts.first, show };
  const results: RunnerResult[] = [];
  try {
    for (const { name, run } of await runners(suites, options)) {
      interrupts.first.throwIfAborted();
      show(`\n── ${name} ──`);
      const started = Date.now();
      const { counts, remarks } = await run(context);
      results.push({ name, ...counts, remarks, seconds: Math.round((Date.now() - started) / 1000) });
    }
  } finally {
    await reaper.close();
    interrupts.dispose();
  }
  if (interrupts.first.aborted) throw new OrchestratorError('INTERRUPTED', 'Interrupted: the tests were ended.');
  report(results, options);
};

const report = (results: readonly RunnerResult[], { json }: TestOptions): void => {
  const total = sumOf(results);
  if (total.failed > 0) process.exitCode = failures.CHECK_FAILED.exitCode;
  if (json) {
    printJson({ ...total, runners: results });
    return;
  }
  printLine();
  for (const { name, seconds, remarks, ...counts } of results) {
    printLine(`${name}: ${closingLine(counts)} (${seconds} s)`);
    for (const remark of remarks) printLine(`  left out: ${remark}`);
  }
  printLine(closingLine(total));
};

interface Runner {
  readonly name: string;
  readonly run: (context: Context) => Promise<{ counts: Counts; remarks: readonly string[] }>;
}

const nothing: Counts = { passed: 0, failed: 0, skipped: 0 };

/** With `CI` set, everything has to run. */
const isCi = (): boolean => (process.env['CI'] ?? '') !== '';

const leftOut = (name: string, reasons: readonly string[]): Runner => ({
  name,
  run: async ({ show }) => {
    for (const reason of reasons) show(`Left out: ${reason}`);
    return { counts: isCi() ? { ...nothing, failed: 1 } : { ...nothing, skipped: 1 }, remarks: reasons };
  },
});

const runners = async (suites: readonly string[], { driver, attach }: TestOptions): Promise<Runner[]> => {
  const [go, rust, engine, compose] = await Promise.all([detectGo(), detectRust(), detectEngine(), detectCompose()]);
  const native = [go, rust].filter(({ ok }) => !ok).map(sentenceOf);
  const containers = [engine, compose].filter(({ ok }) => !ok).map(sentenceOf);
  if (attach !== undefined) return [jestRunner(requireRun(attach).driver, attach)];
  const onProcess = native.length === 0 ? jestRunner('process') : leftOut('TypeScript, driver process', native);
  const onContainer =
    containers.length === 0 ? jestRunner('container') : leftOut('TypeScript, driver container', containers);
  if (suites.length > 0 || driver !== undefined) return [driver === 'container' ? onContainer : onProcess];
  return [
    rust.ok ? cargoRunner : leftOut('Rust', [sentenceOf(rust)]),
    go.ok ? goRunner : leftOut('Go', [sentenceOf(go)]),
    onProcess,
    onContainer,
  ];
};

const runChild = async (
  { reaper, signal }: Context,
  command: readonly [string, ...string[]],
  env: Readonly<Record<string, string>>,
  onLine: (line: string) => void,
): Promise<number> => {
  const [program, ...args] = command;
  const child = new Child(reaper, { command: program, args, cwd: root, env: { ...process.env, ...env }, onLine });
  const stop = (): void => child.signal('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  const exit = await child.exited;
  signal.removeEventListener('abort', stop);
  return exit.kind === 'code' ? exit.code : 1;
};

const cargoRunner: Runner = {
  name: 'Rust',
  run: async (context) => {
    const lines: string[] = [];
    const code = await runChild(
      context,
      ['cargo', 'test', '--workspace', '--locked', '--no-fail-fast'],
      { CARGO_TERM_COLOR: 'never' },
      (line) => {
        lines.push(line);
        if (!/^test .* \.\.\. ok$/.test(line)) context.show(line);
      },
    );
    return { counts: countCargo(lines, code), remarks: [] };
  },
};

/** Every module of go.work. */
const goPackages = (): string[] =>
  [...readFileSync(join(root, 'go.work'), 'utf8').matchAll(/^\s*(?:use\s+)?(\.\/\S+)$/gm)].map(
    ([, path]) => `${path}/...`,
  );

const goRunner: Runner = {
  name: 'Go',
  run: async (context) => {
    const lines: string[] = [];
    const failed = new Set<string>();
    const outputs = new Map<string, string[]>();
    const code = await runChild(context, ['go', 'test', '-race', '-json', ...goPackages()], {}, (line) => {
      lines.push(line);
      const event = parseEvent(line);
      if (!event) return context.show(line);
      const id = `${event.Package} ${event.Test ?? ''}`;
      if (event.Output !== undefined) outputs.set(id, [...(outputs.get(id) ?? []), event.Output]);
      if (event.Action === 'fail') failed.add(id);
      if (event.Test === undefined && event.Action !== undefined && ['pass', 'fail', 'skip'].includes(event.Action)) {
        context.show(`${event.Action} ${event.Package}`);
      }
    });
    for (const id of failed) context.show(`FAIL ${id}\n${(outputs.get(id) ?? []).join('')}`);
    return { counts: countGo(lines, code), remarks: [] };
  },
};

/** What the suites start is built before them, with progress: no suite's time limit has to wait for a compiler. */
const buildFor = async (driver: DriverKind, { reaper, signal }: Context): Promise<void> => {
  const options = { model: platform, reaper, signal };
  await drawSteps(driver === 'process' ? buildSteps({ ...options, release: false }) : [imageStep(options)]);
};

interface JestRun {
  readonly options: readonly string[];
  /** Parts of paths; empty: all suites. */
  readonly only: readonly string[];
  /** Suites that harm nobody share one platform. */
  readonly isShared?: true;
}

const inTests = (...folders: string[]): string[] => folders.map((folder) => `${join(root, 'tests', folder)}/`);
const leaveOut = (...paths: string[]): string[] => ['--testPathIgnorePatterns', 'node_modules', ...paths];

/** They judge how fast something is: nothing that takes all cores for long, as compilers do, is to run beside them. */
const timed = inTests('consistency', 'faults', 'rollout');
/** The same on either driver, or possible with processes alone. */
const processOnly = [
  ...inTests('boot', 'dev', 'readme'),
  join(root, 'tests/faults/link'),
  join(root, 'tests/faults/edge'),
];

/** Unit tests once; what stands in tests/ once on each driver. More than two workers starve each other's platforms. */
const jestRuns = (driver: DriverKind, suites: readonly string[]): JestRun[] => {
  const possible = driver === 'container' ? leaveOut(...processOnly) : [];
  if (suites.length > 0) return [{ options: ['--runInBand', ...possible], only: suites }];
  const [beside, only] =
    driver === 'container'
      ? [leaveOut(...processOnly, ...timed), [...inTests(''), 'drivers/container']]
      : [leaveOut('drivers/container', ...timed), []];
  return [
    { options: ['--maxWorkers=2', ...beside], only, isShared: true },
    { options: ['--maxWorkers=2', ...possible], only: timed },
  ];
};

const jestRunner = (driver: DriverKind, attach?: string): Runner => ({
  name: `TypeScript, driver ${driver}`,
  run: async (context) => {
    if (attach === undefined) await buildFor(driver, context);
    let counts = nothing;
    for (const run of jestRuns(driver, context.suites)) {
      await using shared =
        run.isShared && attach === undefined ? await sharePlatform(driver, context.signal) : undefined;
      counts = sumOf([counts, await runJest(context, driver, run, attach ?? shared?.name)]);
    }
    return { counts, remarks: [] };
  },
});

/** A platform that the suites of another process find by its name. */
const sharePlatform = (driver: DriverKind, signal: AbortSignal): Promise<Platform> => {
  const name = `test-shared-${randomBytes(4).toString('hex')}`;
  return startPlatform({ name, driver, ports: 'free', quiet: true, signal });
};

const runJest = async (
  context: Context,
  driver: DriverKind,
  { options, only }: JestRun,
  platform: string | undefined,
): Promise<Counts> => {
  const reportFile = join(stateFolder, `jest-${driver}-${process.pid}.json`);
  const code = await runChild(
    context,
    [
      process.execPath,
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      join(root, 'node_modules', 'jest', 'bin', 'jest.js'),
      '--json',
      `--outputFile=${reportFile}`,
      ...options,
      ...(only.length > 0 ? ['--', ...only] : []),
    ],
    { BIMETAL_TEST_DRIVER: driver, BIMETAL_TEST_PLATFORM: platform ?? '' },
    // Jest writes its report to standard output as well, on one line.
    (line) => {
      if (!line.startsWith('{"numFailedTestSuites"')) context.show(line);
    },
  );
  const report: JestReport | undefined = existsSync(reportFile)
    ? JSON.parse(readFileSync(reportFile, 'utf8'))
    : undefined;
  rmSync(reportFile, { force: true });
  return countJest(report, code);
};
