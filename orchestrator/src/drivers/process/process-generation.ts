import { OrchestratorError } from '../../errors.ts';
import type { LogHub } from '../../logs/hub.ts';
import { type LogRecord, parseLogLine } from '../../logs/record.ts';
import type { InstanceSpec } from '../../model/instances.ts';
import { Child, describeExit, type Exit } from '../../process/child.ts';
import { describePortHolder } from '../../process/port-holder.ts';
import type { Reaper } from '../../process/reaper-client.ts';
import { whenStopped } from '../../process/stopped.ts';
import type { Generation, LaunchChange } from '../generation.ts';
import { waitUntilReady } from '../health.ts';
import { type StopOptions, stopTimeoutMs } from '../instance.ts';

export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** From the start of the process to /readyz. Far more than a loaded machine needs. */
export const readyTimeoutMs = 20_000;

/** A service says so when it cannot bind (see the exit codes of services in docs/operations.md). */
const exitCodeOfTakenPort = 3;

/** How many lines of a failed start are shown. */
const shownLines = 20;

export interface ProcessGenerationOptions {
  readonly spec: InstanceSpec;
  readonly number: number;
  readonly change: LaunchChange;
  readonly launch: Launch;
  readonly reaper: Reaper;
  readonly hub: LogHub;
}

export class ProcessGeneration implements Generation {
  readonly number: number;
  readonly change: LaunchChange;
  readonly pid: number | undefined;
  /** When it has ended; `expected` if that was our doing. */
  readonly exited: Promise<{ readonly exit: Exit; readonly expected: boolean }>;
  readonly #spec: InstanceSpec;
  readonly #child: Child;
  readonly #firstLines: string[] = [];
  readonly #listening = Promise.withResolvers<void>();
  #addresses: Readonly<Record<string, string>> = {};
  #innerAddresses: Readonly<Record<string, string>> = {};
  #endExpected = false;

  constructor({ spec, number, change, launch, reaper, hub }: ProcessGenerationOptions) {
    this.#spec = spec;
    this.number = number;
    this.change = change;
    this.#child = new Child(reaper, {
      ...launch,
      stdin: 'pipe',
      onLine: (line, stream) => {
        if (this.#firstLines.length < shownLines) this.#firstLines.push(line);
        const level = stream === 'stderr' ? 'warn' : 'info';
        const record = parseLogLine(line, { service: spec.service, instance: spec.name, level });
        if (record.msg === 'listening' && Object.keys(this.#addresses).length === 0) {
          this.#addresses = addressesIn(record, Object.keys(spec.spec.ports));
          this.#innerAddresses = {
            ...this.#addresses,
            ...addressesIn(record, Object.keys(spec.spec.ports), '.passed'),
          };
          this.#listening.resolve();
        }
        hub.add(record);
      },
    });
    this.pid = this.#child.pid;
    this.exited = this.#child.exited.then((exit) => ({ exit, expected: this.#endExpected }));
  }

  get running(): boolean {
    return this.#child.running;
  }

  get addresses(): Readonly<Record<string, string>> {
    return this.#addresses;
  }

  get innerAddresses(): Readonly<Record<string, string>> {
    return this.#innerAddresses;
  }

  get probeUrl(): string {
    return `http://${this.#addresses[this.#spec.spec.probe]}`;
  }

  /** Resolves when its addresses are known. */
  whenListening(limitMs = readyTimeoutMs): Promise<void> {
    return this.#within(limitMs, () => this.#listening.promise);
  }

  whenReady(limitMs = readyTimeoutMs): Promise<void> {
    return this.#within(limitMs, async (over) => {
      await this.#listening.promise;
      await waitUntilReady(this.probeUrl, over);
    });
  }

  /** Rejects when the process ends, or time is over, before the work is done. */
  async #within(limitMs: number, work: (over: AbortSignal) => Promise<void>): Promise<void> {
    const over = new AbortController();
    const ended = this.#child.exited.then((exit) => {
      throw this.#startError(exit);
    });
    ended.catch(() => {});
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(
      () =>
        reject(
          new OrchestratorError('UNHEALTHY', `${this.#spec.name} was not ready after ${limitMs / 1000} s.`, {
            details: this.#firstLines.join('\n'),
          }),
        ),
      limitMs,
    );
    try {
      await Promise.race([work(over.signal), ended, late]);
    } finally {
      clearTimeout(timer);
      over.abort();
    }
  }

  #startError(exit: Exit): OrchestratorError {
    const details = this.#firstLines.join('\n');
    if (exit.kind === 'code' && exit.code === exitCodeOfTakenPort) {
      const port = /127\.0\.0\.1:(\d+)/.exec(details)?.[1];
      const holder = port === undefined ? '' : `: ${describePortHolder(Number(port))} has it`;
      return new OrchestratorError('PORT_TAKEN', `${this.#spec.name} cannot listen on its port${holder}.`, { details });
    }
    const how = describeExit(exit);
    return new OrchestratorError('UNHEALTHY', `${this.#spec.name} ended before it was ready (${how}).`, { details });
  }

  async stop({ timeoutMs = stopTimeoutMs, force = false }: StopOptions = {}): Promise<void> {
    if (!this.#child.running) return;
    this.#endExpected = true;
    this.#child.signal('SIGTERM');
    this.#child.signal('SIGCONT');
    if (await this.#child.exitedWithin(timeoutMs)) return;
    if (force) return this.kill();
    throw new OrchestratorError(
      'STOP_TIMED_OUT',
      `${this.#spec.name} (pid ${this.pid}) has not ended ${timeoutMs} ms after SIGTERM and was left as it is; --force kills it.`,
    );
  }

  /** Whether it has ended by then, as somebody asked it to. */
  endedWithin(ms: number): Promise<boolean> {
    this.#endExpected = true;
    return this.#child.exitedWithin(ms);
  }

  /** The quick drain at the end of a run: the services watch their standard input, others get SIGTERM. */
  async endWithin(ms: number): Promise<void> {
    if (!this.#child.running) return;
    this.#endExpected = true;
    this.#child.closeStdin();
    this.#child.signal('SIGCONT');
    if (!(await this.#child.exitedWithin(ms))) await this.kill();
  }

  async kill(): Promise<void> {
    this.#endExpected = true;
    this.#child.signal('SIGKILL');
    await this.#child.exited;
  }

  async pause(): Promise<void> {
    this.#child.signal('SIGSTOP');
    if (this.pid !== undefined) await whenStopped(this.pid);
  }

  resume(): void {
    this.#child.signal('SIGCONT');
  }
}

/** In the order of the model. `.passed`: where the edge passes connections to instead. */
const addressesIn = (record: LogRecord, ports: readonly string[], kind = ''): Record<string, string> => {
  const given = Object(record['addresses']);
  const entries = ports.map((port) => [port, Reflect.get(given, port + kind)]);
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
};
