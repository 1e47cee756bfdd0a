// Pinning, CPU time of processes, rounds, median and spread. Linux only: it reads /proc.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Where servers run and where the load comes from. On a single core both are the same, and the figures say so. */
export const serverCore = '0';
export const loadCore = cpus().length > 1 ? '1' : '0';

/** Binds a process and all its threads to a core. */
export const pin = async (pid: number, core: string): Promise<void> => {
  await run('taskset', ['-acp', core, String(pid)]);
};

const ticksPerSecond = 100;

/** User and system time of a process since its start, in seconds. */
export const cpuSeconds = (pid: number): number => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name, in parentheses, may hold spaces; utime and stime are the 14th and 15th field.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
};

/** Resident memory of a process in bytes. */
export const residentBytes = (pid: number): number => {
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kibibytes) * 1024;
};

export type Figure = { readonly median: number; readonly min: number; readonly max: number };

export const figureOf = (values: readonly number[]): Figure => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  const median = sorted.length % 2 === 1 ? at(middle) : (at(middle - 1) + at(middle)) / 2;
  return { median, min: at(0), max: at(sorted.length - 1) };
};

/** Runs the sides in turn, round after round (A B A B …), so that a slow minute of the machine hits all of them. */
export const alternate = async <Side extends string, Result>(
  sides: Readonly<Record<Side, () => Promise<Result>>>,
  rounds: number,
): Promise<Record<Side, Result[]>> => {
  const names = Object.keys(sides) as Side[];
  const results = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Side, Result[]>;
  for (let round = 0; round < rounds; round++) for (const name of names) results[name].push(await sides[name]());
  return results;
};

export const version = async (program: string, ...args: string[]): Promise<string | undefined> => {
  const answer = await run(program, args).catch((error: { code?: string; stdout?: string; stderr?: string }) =>
    error.code === 'ENOENT' ? undefined : { stdout: error.stdout ?? '', stderr: error.stderr ?? '' },
  );
  return answer && `${answer.stdout}${answer.stderr}`.split('\n')[0];
};
