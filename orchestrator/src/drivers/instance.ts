import { OrchestratorError } from '../errors.ts';
import type { LogHub } from '../logs/hub.ts';
import type { LogRecord } from '../logs/record.ts';
import type { InstanceSpec } from '../model/instances.ts';
import type { Generation, LaunchChange } from './generation.ts';

/**
 * - `pending`: not started yet; `starting`: started, not ready yet; `ready`: answers /readyz
 * - `unready`: runs, and says that it is not ready; `paused`: stopped in its tracks by us
 * - `stopping`, `stopped`: on our request; `failed`: ended, or never got ready, by itself
 */
export type InstanceState = 'pending' | 'starting' | 'ready' | 'unready' | 'paused' | 'stopping' | 'stopped' | 'failed';

export interface StopOptions {
  /** How long it may drain. */
  readonly timeoutMs?: number;
  /** Kill what has not ended by then; without it, it is left running and STOP_TIMED_OUT is thrown. */
  readonly force?: boolean;
}

/** Longer than the services' own longest drain (`drain_delay` 2 s and `drain_timeout` 10 s). */
export const stopTimeoutMs = 14_000;

/** One running (or not running) replica of a service. The drivers fill in how things are done. */
export abstract class Instance {
  readonly spec: InstanceSpec;
  protected readonly hub: LogHub;
  readonly #listeners = new Set<() => void>();
  #state: InstanceState = 'pending';
  #addresses: Readonly<Record<string, string>> = {};
  #innerAddresses: Readonly<Record<string, string>> = {};
  /** Why it failed, for people. */
  failure: string | undefined;
  starts = 0;
  /** Unix milliseconds. */
  readySince: number | undefined;

  constructor(spec: InstanceSpec, hub: LogHub) {
    this.spec = spec;
    this.hub = hub;
  }

  /** Starts it and resolves when it is ready. Without a change: what it ran before. */
  abstract start(change?: LaunchChange): Promise<void>;
  /** Drains it (SIGTERM) and resolves when it has ended. */
  abstract stop(options?: StopOptions): Promise<void>;
  /** SIGKILL. Resolves when it has ended. */
  abstract kill(): Promise<void>;
  /** SIGSTOP: it keeps its sockets and, once this resolves, answers nothing. */
  abstract pause(): Promise<void>;
  abstract resume(): Promise<void>;
  /** The quick drain at the end of a run, of all its generations; what has not ended by then is killed. */
  abstract endWithin(ms: number): Promise<void>;
  /** What it runs, or is going to run, and how its settings differ from the model's. */
  abstract get change(): LaunchChange;
  /** Starts another generation beside the present one; resolves once it listens. Nothing leads to it yet. */
  abstract startNext(change: LaunchChange, limitMs?: number): Promise<Generation>;
  /** Makes a generation that `startNext` made the instance's own; the former one is to be ended by the caller. */
  abstract adopt(next: Generation): Generation | undefined;
  /** Of the process; undefined where it is not one of this machine's, or not running. */
  abstract get pid(): number | undefined;

  /** The same addresses afterwards; what it held is lost. */
  async restart(options: StopOptions = {}): Promise<void> {
    await this.stop(options);
    await this.start();
  }

  /** It ended, and nobody had asked it to. */
  protected reportEnd(how: string): void {
    const failure = `ended by itself (${how})`;
    this.setState('failed', failure);
    this.hub.say('error', `${this.name} ${failure}; \`./bimetal restart ${this.name}\` starts it again`);
  }

  get name(): string {
    return this.spec.name;
  }

  get service(): string {
    return this.spec.service;
  }

  get state(): InstanceState {
    return this.#state;
  }

  /** It has a process that answers: neither ended, nor stopped in its tracks. */
  get isUp(): boolean {
    return this.#state === 'ready' || this.#state === 'unready';
  }

  protected setState(state: InstanceState, failure?: string): void {
    this.failure = failure;
    if (state === this.#state) return;
    this.readySince = state === 'ready' ? (this.readySince ?? Date.now()) : undefined;
    this.#state = state;
    for (const listener of [...this.#listeners]) listener();
  }

  /** What the health monitor saw. */
  observe(isReady: boolean): void {
    if (this.#state === 'ready' && !isReady) this.setState('unready');
    else if (this.#state === 'unready' && isReady) this.setState('ready');
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async whenState(wanted: InstanceState, timeoutMs = 10_000): Promise<void> {
    if (this.#state === wanted) return;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        off();
        reject(
          new OrchestratorError('UNHEALTHY', `${this.name} is ${this.#state}, not ${wanted}, after ${timeoutMs} ms.`),
        );
      }, timeoutMs);
      const off = this.onChange(() => {
        if (this.#state !== wanted) return;
        clearTimeout(timer);
        off();
        resolve();
      });
    });
  }

  /** HOST:PORT by the model's port names, reachable from this machine. They stay until another generation is adopted. */
  get addresses(): Readonly<Record<string, string>> {
    return this.#addresses;
  }

  /** `inner`: the same for the other instances, where it differs. */
  protected setAddresses(addresses: Readonly<Record<string, string>>, inner = addresses): void {
    this.#addresses = addresses;
    this.#innerAddresses = inner;
  }

  /** As `addresses`, for the other instances; unix:@NAME where the edge passes connections on as open sockets. */
  get innerAddresses(): Readonly<Record<string, string>> {
    return this.#innerAddresses;
  }

  address(port: string): string {
    const address = this.#addresses[port];
    if (address === undefined) {
      const known = Object.keys(this.#addresses).join(', ') || 'none yet';
      throw new OrchestratorError('USAGE', `${this.name} has no address "${port}"; it has: ${known}.`);
    }
    return address;
  }

  url(port: string): string {
    return `http://${this.address(port)}`;
  }

  /** Where /livez, /readyz, /metrics and /contract are answered. */
  get probeUrl(): string {
    return this.url(this.spec.spec.probe);
  }

  logs(): LogRecord[] {
    return this.hub.recent((record) => record.instance === this.name);
  }
}
