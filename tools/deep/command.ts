import { spawn, spawnSync } from 'node:child_process';
import { resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '../..');

export const has = (program: string, ...args: string[]): boolean => {
  const { error, status } = spawnSync(program, args.length > 0 ? args : ['--version'], { stdio: 'ignore' });
  return error === undefined && status === 0;
};

export type Ran = {
  readonly code: number;
  /** The end of standard output and error, in the order in which it came. */
  readonly output: string;
  readonly timedOut: boolean;
};

export type CommandOptions = {
  readonly command: readonly [string, ...string[]];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
};

const keptCharacters = 200_000;

/** Runs it at low priority, in a process group of its own that ends with it. */
export const run = ({ command, cwd = root, env, timeoutMs, signal }: CommandOptions): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const child = spawn('nice', command, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let output = '';
    let timedOut = false;
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-keptCharacters);
    };
    const end = (name: NodeJS.Signals): void => {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, name);
    };
    const timer = setTimeout(() => {
      timedOut = true;
      end('SIGKILL');
    }, timeoutMs);
    const stop = (): void => end('SIGKILL');
    signal.addEventListener('abort', stop, { once: true });
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      resolve({ code: code ?? 1, output, timedOut });
    });
  });

/** The last lines, for a report. */
export const tail = (output: string, lines = 60): string => output.trimEnd().split('\n').slice(-lines).join('\n');
