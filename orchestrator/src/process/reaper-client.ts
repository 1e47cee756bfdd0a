import { type ChildProcess, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

/** Our end of the pipe to the reaper; see reaper.ts for what it does when that closes. */
export class Reaper {
  readonly #process: ChildProcess;
  /** Children get this as file descriptor 3, so that each can announce its own group before it runs anything. */
  readonly pipe: Writable;

  private constructor(process: ChildProcess, pipe: Writable) {
    this.#process = process;
    this.pipe = pipe;
  }

  /** Does not wait for the process to be up: what is written before that waits in the pipe. */
  static start(): Reaper {
    const child = spawn(process.execPath, [fileURLToPath(new URL('./reaper.ts', import.meta.url))], {
      // A session of its own: neither the terminal's Ctrl-C nor a signal to our group reaches it.
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      cwd: '/',
    });
    if (!child.stdin) throw new Error('the reaper has no standard input');
    child.stdin.on('error', () => {});
    child.unref();
    return new Reaper(child, child.stdin);
  }

  /** Calls back when the reaper is gone while we are not: nobody would clean up after us then. */
  onLost(listener: () => void): void {
    this.#process.once('exit', listener);
  }

  #write(line: string): void {
    this.pipe.write(`${line}\n`);
  }

  removeGroup(group: number): void {
    this.#write(`ungroup ${group}`);
  }

  addProject(name: string): void {
    this.#write(`project ${name}`);
  }

  addFile(path: string): void {
    this.#write(`file ${path}`);
  }

  /** Lets the reaper end what is left, and resolves when it has. */
  async close(): Promise<void> {
    this.#process.removeAllListeners('exit');
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => this.#process.once('exit', () => resolve()));
    this.#process.ref();
    this.pipe.end();
    await ended;
  }
}
