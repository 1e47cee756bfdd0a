// Go's fuzzing of each Fuzz function. What fails is kept by Go under testdata/fuzz, to be committed.
import { glob, readFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { has, root, run, tail } from './command.ts';
import { leftOut, type Part, type PartResult } from './part.ts';

type Target = { readonly folder: string; readonly name: string };

export const fuzzTargets = async (): Promise<Target[]> => {
  const targets: Target[] = [];
  for await (const file of glob('{gateway-go,contract/go}/**/*_test.go', { cwd: root })) {
    const text = await readFile(join(root, file), 'utf8');
    for (const [, name = ''] of text.matchAll(/^func (Fuzz\w+)\(/gm))
      targets.push({ folder: relative(root, join(root, dirname(file))), name });
  }
  return targets.toSorted((a, b) => `${a.folder}${a.name}`.localeCompare(`${b.folder}${b.name}`));
};

const leastSeconds = 5;

/**
 * Before Go 1.27 the end of `-fuzztime` itself may be told as an error on a busy machine (golang/go#75804). An input that
 * fails is always written down.
 */
const endsInTheRaceOfGo = (output: string): boolean =>
  /^\s+context deadline exceeded$/m.test(output) && !output.includes('Failing input written to');

export const goFuzz: Part = {
  name: 'Go fuzzing',
  run: async (minutes, signal) => {
    if (!has('go', 'version')) return leftOut('Go is not installed');
    const targets = await fuzzTargets();
    const seconds = Math.max(leastSeconds, Math.round((minutes * 60) / targets.length));
    const found: { figures: string[]; details: string[]; failed: number } = { figures: [], details: [], failed: 0 };
    for (const { folder, name } of targets) {
      signal.throwIfAborted();
      const { code, output } = await run({
        command: ['go', 'test', '-run', '^$', '-fuzz', `^${name}$`, '-fuzztime', `${seconds}s`, `./${folder}`],
        timeoutMs: seconds * 1_000 + 180_000,
        signal,
      });
      const executions = [...output.matchAll(/execs: (\d+)/g)].at(-1)?.[1] ?? '0';
      const isOver = code !== 0 && endsInTheRaceOfGo(output);
      const label = `${basename(folder)} ${name}: ${Number(executions).toLocaleString('en-US')} inputs in ${seconds} s`;
      found.figures.push(isOver ? `${label}, ended by golang/go#75804` : label);
      if (code === 0 || isOver) continue;
      found.failed += 1;
      found.details.push(`${folder} ${name}\n${tail(output)}`);
    }
    const result: PartResult = { ...found, passed: targets.length - found.failed, skipped: 0, leftOut: [] };
    return result;
  },
};
