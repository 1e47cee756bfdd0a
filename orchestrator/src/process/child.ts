import { type ChildProcess, spawn } from 'node:child_process';
import { forEachLine } from './lines.ts';
import type { Reaper } from './reaper-client.ts';

export type Exit =
  | { readonly kind: 'code'; readonly code: number }
  | { readonly kind: 'signal'; readonly signal: NodeJS.Signals }
  | { readonly kind: 'not-started'; readonly error: Error };

export interface ChildOptions {
  readonly command: string;
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** A child that watches its standard input ends when this pipe closes; others get none. */
  readonly stdin?: 'pipe' | 'ignore';
  readonly onLine: (line: string, stream: 'stdout' | 'stderr') => void;
}

/**
 * The shell announces its own process group to the reaper and becomes the command. So there is no moment at which
 * the command runs and the reaper does not know of it, even if we are killed between fork and the next line.
 */
const announceAndRun = 'echo "group $$" >&3; exec "$@" 3>&-';

/** A child process in a process group of its own that cannot outlive us. */
export class Child {
  readonly #process: ChildProcess;
  readonly #reaper: Reaper;
  /** Settles when the process has ended and its output has been read. */
  readonly exited: Promise<Exit>;
  #exit: Exit | undefined;

  constructor(reaper: Reaper, options: ChildOptions) {
    this.#reaper = reaper;
    this.#process = spawn('/bin/sh', ['-c', announceAndRun, 'sh', options.command, ...(options.args ?? [])], {
      detached: true,
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: [options.stdin ?? 'ignore', 'pipe', 'pipe', reaper.pipe],
    });
    for (const name of ['stdout', 'stderr'] as const) {
      const stream = this.#process[name];
      if (stream) forEachLine(stream, (line) => options.onLine(line, name));
    }
    this.#process.stdin?.on('error', () => {});
    this.exited = this.#watchExit();
  }

  async #watchExit(): Promise<Exit> {
    const exit = await new Promise<Exit>((resolve) => {
      this.#process.once('error', (error) => resolve({ kind: 'not-started', error }));
      this.#process.once('exit', (code, signal) => {
        this.#exit = signal ? { kind: 'signal', signal } : { kind: 'code', code: code ?? 0 };
        // A grandchild may hold the output open: what it started in its group ends with it.
        this.#endGroup();
      });
      this.#process.once('close', () => resolve(this.#exit ?? { kind: 'code', code: 0 }));
    });
    this.#exit = exit;
    return exit;
  }

  #endGroup(): void {
    const { pid } = this.#process;
    if (pid === undefined) return;
    this.#kill(-pid, 'SIGKILL');
    this.#reaper.removeGroup(pid);
  }

  #kill(pid: number, signal: NodeJS.Signals): void {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended already.
    }
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  get running(): boolean {
    return this.#exit === undefined;
  }

  /** Signals the process and whatever it started. */
  signal(signal: NodeJS.Signals): void {
    if (this.running && this.pid !== undefined) this.#kill(-this.pid, signal);
  }

  /** What a child that watches its standard input takes as "drain now, quickly". */
  closeStdin(): void {
    this.#process.stdin?.destroy();
  }

  /** Resolves to whether it ended within the time. */
  async exitedWithin(ms: number): Promise<boolean> {
    if (!this.running) return true;
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), ms);
    });
    const ended = await Promise.race([this.exited.then(() => true), timeout]);
    clearTimeout(timer);
    return ended;
  }
}

export const describeExit = (exit: Exit): string => {
  switch (exit.kind) {
    case 'code':
      return `exit code ${exit.code}`;
    case 'signal':
      return exit.signal;
    case 'not-started':
      return exit.error.message;
  }
};
