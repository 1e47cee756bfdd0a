import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { getContainerRuntimeClient } from 'testcontainers';
import { messageOf, OrchestratorError } from '../../errors.ts';
import type { LogHub } from '../../logs/hub.ts';
import { parseLogLine } from '../../logs/record.ts';
import type { InstanceSpec } from '../../model/instances.ts';
import { forEachLine } from '../../process/lines.ts';
import { waitUntilReady } from '../health.ts';
import { Instance, type StopOptions, stopTimeoutMs } from '../instance.ts';

type Runtime = Awaited<ReturnType<typeof getContainerRuntimeClient>>;
export type Container = ReturnType<Runtime['container']['getById']>;

/** What follows the log of a container from now on. */
export type OpenLogs = (container: Container, since: number) => Promise<Readable>;

const readyTimeoutMs = 30_000;

/** A container of the run's compose project. */
export class ContainerInstance extends Instance {
  readonly #openLogs: OpenLogs;
  #container: Container | undefined;
  #endExpected = false;

  constructor(spec: InstanceSpec, hub: LogHub, openLogs: OpenLogs) {
    super(spec, hub);
    this.#openLogs = openLogs;
  }

  /** Compose has started its container, which is not healthy yet. */
  async follow(container: Container): Promise<void> {
    if (this.#container) return;
    this.#container = container;
    this.starts += 1;
    this.setState('starting');
    await this.#followLogs(0);
  }

  /** Its health check has passed. */
  async adopt(container: Container, addresses: Readonly<Record<string, string>>): Promise<void> {
    await this.follow(container);
    this.setAddresses(addresses);
    this.setState('ready');
  }

  get #own(): Container {
    if (this.#container) return this.#container;
    throw new OrchestratorError('USAGE', `${this.name} has no container yet.`);
  }

  /** The process is in another namespace: its pid is of no use here. */
  get pid(): undefined {
    return undefined;
  }

  async #followLogs(since: number): Promise<void> {
    const container = this.#own;
    const stream = await this.#openLogs(container, since);
    forEachLine(stream, (line) =>
      this.hub.add(parseLogLine(line, { service: this.service, instance: this.name, level: 'info' })),
    );
    stream.on('error', () => {});
    stream.on('close', () => void this.#onLogsEnd());
    stream.on('end', () => void this.#onLogsEnd());
  }

  /** The log ends with the container. */
  async #onLogsEnd(): Promise<void> {
    if (this.#endExpected || this.state === 'starting' || this.state === 'failed') return;
    const { State } = await this.#own.inspect().catch(() => ({ State: undefined }));
    if (this.#endExpected || State === undefined || State.Running) return;
    const failure = `ended by itself (exit code ${State.ExitCode})`;
    this.setState('failed', failure);
    this.hub.add({
      time: new Date().toISOString(),
      level: 'error',
      msg: `${this.name} ${failure}; \`./bimetal restart ${this.name}\` starts it again`,
      service: 'orchestrator',
      instance: 'orchestrator',
    });
  }

  async start(): Promise<void> {
    const { State } = await this.#own.inspect();
    if (State.Running) throw new OrchestratorError('USAGE', `${this.name} runs already (it is ${this.state}).`);
    this.#endExpected = false;
    this.starts += 1;
    this.setState('starting');
    const since = Math.floor(Date.now() / 1000);
    try {
      await this.#own.start();
      await this.#followLogs(since);
      if (!(await waitUntilReady(this.probeUrl, AbortSignal.timeout(readyTimeoutMs)))) {
        throw new OrchestratorError('UNHEALTHY', `${this.name} was not ready after ${readyTimeoutMs / 1000} s.`);
      }
    } catch (error) {
      this.setState('failed', messageOf(error));
      throw error;
    }
    this.setState('ready');
  }

  async stop({ timeoutMs = stopTimeoutMs, force = false }: StopOptions = {}): Promise<void> {
    this.#endExpected = true;
    this.setState('stopping');
    await this.#signal('SIGTERM');
    if (await this.#endedWithin(timeoutMs)) {
      this.setState('stopped');
      return;
    }
    if (!force) {
      throw new OrchestratorError(
        'STOP_TIMED_OUT',
        `${this.name} has not ended ${timeoutMs} ms after SIGTERM and was left as it is; --force kills it.`,
      );
    }
    await this.kill();
  }

  /** The quick drain at the end of a run. (Compose would wait for its own grace period otherwise.) */
  async endWithin(ms: number): Promise<void> {
    if (!this.#container) return;
    this.#endExpected = true;
    this.setState('stopping');
    await this.#signal('SIGTERM');
    if (!(await this.#endedWithin(ms))) await this.#signal('SIGKILL');
    this.setState('stopped');
  }

  async kill(): Promise<void> {
    this.#endExpected = true;
    await this.#signal('SIGKILL');
    await this.#endedWithin(readyTimeoutMs);
    this.setState('stopped');
  }

  async pause(): Promise<void> {
    await this.#own.pause();
    this.setState('paused');
  }

  async resume(): Promise<void> {
    await this.#own.unpause();
    this.setState('unready');
    this.observe(await waitUntilReady(this.probeUrl, AbortSignal.timeout(readyTimeoutMs)));
  }

  /** An engine refuses to signal a container that has ended, or is paused: neither is an error here. */
  async #signal(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (this.state === 'paused') await this.#own.unpause().catch(() => {});
    await this.#own.kill({ signal }).catch(() => {});
  }

  async #endedWithin(ms: number): Promise<boolean> {
    const stop = new AbortController();
    const ended = this.#own.wait().then(
      () => true,
      () => true,
    );
    const late = sleep(ms, false, { signal: stop.signal }).catch(() => false);
    const result = await Promise.race([ended, late]);
    stop.abort();
    return result;
  }
}
