import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ServiceChange } from '../model/customise.ts';
import { root } from '../root.ts';
import { fakeModel } from './fake-platform.ts';
import { temporaryFolder } from './temporary-folder.ts';

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command as a person starts it, in a process group of its own. */
export class Command {
  readonly process: ChildProcess;
  stdout = '';
  stderr = '';
  readonly ended: Promise<Outcome>;

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}, checkout = root) {
    this.process = spawn('node', [join(checkout, 'bin', 'run.mjs'), ...args], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    this.process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.ended = new Promise((resolve) => {
      this.process.on('close', (code) => resolve({ code, stdout: this.stdout, stderr: this.stderr }));
    });
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  signalGroup(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, signal);
    } catch {
      // It has ended.
    }
  }

  /** Resolves when the text was written to either stream. */
  async says(text: string, limitMs = 15_000): Promise<void> {
    const deadline = Date.now() + limitMs;
    while (!this.stdout.includes(text) && !this.stderr.includes(text)) {
      if (Date.now() > deadline || this.process.exitCode !== null) {
        throw new Error(`"${text}" was not said:\n${this.stdout}\n${this.stderr}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

export const bimetal = (...args: string[]): Promise<Outcome> => new Command(args).ended;

export const freshName = (): string => `spec-${randomBytes(4).toString('hex')}`;

/** A file for `up --change` that puts fakes in place of the native services. */
export const fakeChangeFile = (changes: Readonly<Record<string, ServiceChange>> = {}): string => {
  const file = join(temporaryFolder(), 'change.json');
  writeFileSync(file, JSON.stringify(fakeModel(changes)));
  return file;
};

export const upArgs = (name: string, change = fakeChangeFile()): string[] => [
  'up',
  '--driver',
  'process',
  '--ports',
  'free',
  '--name',
  name,
  '--change',
  change,
];
