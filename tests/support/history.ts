// Runs tests/consistency: concurrent clients whose history is judged by a linearizability checker.
import { execFile, spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { expect } from '@jest/globals';
import { eventually } from './eventually.ts';

const root = resolve(import.meta.dirname, '../..');
const program = join(root, 'build/bin/bimetal-consistency');

const go = async (...args: string[]): Promise<void> => {
  const env = { ...process.env, GOWORK: 'off' };
  await promisify(execFile)('go', args, { cwd: join(root, 'tests/consistency'), env });
};

export const buildConsistency = (): Promise<void> => go('build', '-o', program, '.');

/** Its own tests. */
export const testConsistency = (): Promise<void> => go('test', '.');

/** What the program reads first; see tests/consistency/README.md. */
export type HistoryOptions = {
  readonly urls: readonly string[];
  readonly seconds?: number;
  readonly prefix: string;
  readonly keys?: number;
  readonly clients?: number;
  readonly seed?: number;
  readonly idempotent?: boolean;
  readonly corrupt?: boolean;
};

export type Verdict = {
  readonly verdict: 'linearizable' | 'not linearizable' | 'undecided';
  readonly key?: string;
  /** Where the history of that key is drawn. */
  readonly picture?: string;
  readonly operations: Readonly<Record<string, number>>;
  readonly unknown: number;
  readonly notBegun: Readonly<Record<string, number>>;
  readonly unexpected: readonly string[];
  readonly owners: Readonly<Record<string, number>>;
};

type Progress = { readonly answered: number; readonly lost: readonly string[] };

export type History = {
  /** Resolves when so many more operations have been answered. */
  readonly answered: (more: number) => Promise<void>;
  /** From now on the keys of this node may have vanished, once. Resolves when that holds. */
  readonly lost: (node: string) => Promise<void>;
  /** Ends the clients and judges. */
  readonly stop: () => Promise<Verdict>;
};

export const startHistory = (options: HistoryOptions): History => {
  const picture = join(root, `build/consistency-${options.prefix}.html`);
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => {}); // it has ended: the verdict says why
  const order = (line: unknown): boolean => child.stdin.write(`${JSON.stringify(line)}\n`);
  let progress: Progress = { answered: 0, lost: [] };
  const words: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (line.startsWith('{')) progress = JSON.parse(line) as Progress;
    else words.push(line);
  });
  const output = text(child.stdout);
  order({ seconds: 60, picture, ...options });
  return {
    answered: (more) => {
      const wanted = progress.answered + more;
      return eventually(() => expect(progress.answered).toBeGreaterThan(wanted), 30_000);
    },
    lost: (node) => {
      order({ lost: node });
      return eventually(() => expect(progress.lost).toContain(node), 5_000);
    },
    stop: async () => {
      order({ stop: true });
      const line = await output;
      if (line === '') throw new Error(words.join('\n'));
      return JSON.parse(line) as Verdict;
    },
  };
};
