import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { getContainerRuntimeClient } from 'testcontainers';
import { OrchestratorError } from '../../errors.ts';
import type { LogHub } from '../../logs/hub.ts';
import { parseLogLine } from '../../logs/record.ts';
import type { InstanceSpec } from '../../model/instances.ts';
import { forEachLine } from '../../process/lines.ts';
import type { Generation, LaunchChange } from '../generation.ts';
import { waitUntil } from '../health.ts';
import { type StopOptions, stopTimeoutMs } from '../instance.ts';

type Runtime = Awaited<ReturnType<typeof getContainerRuntimeClient>>;
export type Container = ReturnType<Runtime['container']['getById']>;

/** What follows the log of a container from now on. */
export type OpenLogs = (container: Container, since: number) => Promise<Readable>;

export const readyTimeoutMs = 30_000;

/** A container, and where it is reached from this machine and from the others. */
export interface Launched {
  readonly container: Container;
  readonly addresses: Readonly<Record<string, string>>;
  readonly innerAddresses: Readonly<Record<string, string>>;
}

export interface ContainerGenerationOptions {
  readonly spec: InstanceSpec;
  readonly number: number;
  readonly change: LaunchChange;
  readonly container: Container;
  readonly hub: LogHub;
  readonly openLogs: OpenLogs;
  /** Called when it has ended and that was not our doing. */
  readonly onEnd: (generation: ContainerGeneration, exitCode: number) => void;
}

export class ContainerGeneration implements Generation {
  readonly number: number;
  readonly change: LaunchChange;
  readonly container: Container;
  addresses: Readonly<Record<string, string>> = {};
  innerAddresses: Readonly<Record<string, string>> = {};
  readonly #options: ContainerGenerationOptions;
  #running = true;
  #endExpected = false;
  #paused = false;

  constructor(options: ContainerGenerationOptions) {
    this.#options = options;
    this.number = options.number;
    this.change = options.change;
    this.container = options.container;
  }

  get running(): boolean {
    return this.#running;
  }

  get probeUrl(): string {
    return `http://${this.addresses[this.#options.spec.spec.probe]}`;
  }

  async followLogs(since: number): Promise<void> {
    const { spec, hub, openLogs } = this.#options;
    const stream = await openLogs(this.container, since);
    forEachLine(stream, (line) =>
      hub.add(parseLogLine(line, { service: spec.service, instance: spec.name, level: 'info' })),
    );
    stream.on('error', () => {});
    stream.on('close', () => void this.#onLogsEnd());
    stream.on('end', () => void this.#onLogsEnd());
  }

  /** The log ends with the container. */
  async #onLogsEnd(): Promise<void> {
    if (this.#endExpected || !this.#running) return;
    const { State } = await this.container.inspect().catch(() => ({ State: undefined }));
    if (this.#endExpected || !this.#running || State === undefined || State.Running) return;
    this.#running = false;
    this.#options.onEnd(this, State.ExitCode);
  }

  /** The engine takes connections to it sooner, and resets them. */
  whenListening(limitMs = readyTimeoutMs): Promise<void> {
    return this.#when('/livez', limitMs);
  }

  whenReady(limitMs = readyTimeoutMs): Promise<void> {
    return this.#when('/readyz', limitMs);
  }

  async #when(probe: '/livez' | '/readyz', limitMs: number): Promise<void> {
    const { name } = this.#options.spec;
    const over = AbortSignal.timeout(limitMs);
    const ended = new AbortController();
    const watching = setInterval(() => {
      if (!this.#running) ended.abort();
    }, 50);
    const isSo = await waitUntil(this.probeUrl, probe, AbortSignal.any([over, ended.signal]));
    clearInterval(watching);
    if (isSo) return;
    throw new OrchestratorError(
      'UNHEALTHY',
      ended.signal.aborted ? `${name} ended before it was ready.` : `${name} was not ready after ${limitMs / 1000} s.`,
    );
  }

  /** Starts its container again after its end. */
  async restart(): Promise<void> {
    const since = Math.floor(Date.now() / 1000);
    this.#endExpected = false;
    this.#running = true;
    await this.container.start();
    await this.followLogs(since);
  }

  async stop({ timeoutMs = stopTimeoutMs, force = false }: StopOptions = {}): Promise<void> {
    this.#endExpected = true;
    await this.#signal('SIGTERM');
    if (await this.#endedWithin(timeoutMs)) return;
    if (force) return this.kill();
    throw new OrchestratorError(
      'STOP_TIMED_OUT',
      `${this.#options.spec.name} has not ended ${timeoutMs} ms after SIGTERM and was left as it is; --force kills it.`,
    );
  }

  /** The quick drain at the end of a run. (Compose would wait for its own grace period otherwise.) */
  async endWithin(ms: number): Promise<void> {
    this.#endExpected = true;
    await this.#signal('SIGTERM');
    if (await this.#endedWithin(ms)) return;
    await this.#signal('SIGKILL');
    // Whoever waits for it to be ready waits no longer.
    this.#running = false;
  }

  async kill(): Promise<void> {
    this.#endExpected = true;
    await this.#signal('SIGKILL');
    await this.#endedWithin(readyTimeoutMs);
  }

  async pause(): Promise<void> {
    await this.container.pause();
    this.#paused = true;
  }

  async resume(): Promise<void> {
    await this.container.unpause();
    this.#paused = false;
  }

  /** An engine refuses to signal a container that has ended, or is paused: neither is an error here. */
  async #signal(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (this.#paused) await this.resume().catch(() => {});
    await this.container.kill({ signal }).catch(() => {});
  }

  async #endedWithin(ms: number): Promise<boolean> {
    const stop = new AbortController();
    const ended = this.container.wait().then(
      () => true,
      () => true,
    );
    const late = sleep(ms, false, { signal: stop.signal }).catch(() => false);
    const result = await Promise.race([ended, late]);
    stop.abort();
    if (result) this.#running = false;
    return result;
  }
}
