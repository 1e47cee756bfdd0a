import { messageOf, OrchestratorError } from '../../errors.ts';
import type { LogHub } from '../../logs/hub.ts';
import { type LogRecord, parseLogLine } from '../../logs/record.ts';
import type { InstanceSpec } from '../../model/instances.ts';
import { Child, describeExit, type Exit } from '../../process/child.ts';
import { describePortHolder } from '../../process/port-holder.ts';
import type { Reaper } from '../../process/reaper-client.ts';
import { waitUntilReady } from '../health.ts';
import { Instance, type StopOptions, stopTimeoutMs } from '../instance.ts';

export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** From the start of the process to /readyz. Far more than a loaded machine needs. */
const readyTimeoutMs = 20_000;

/** A service says so when it cannot bind (see the exit codes of services in docs/operations.md). */
const exitCodeOfTakenPort = 3;

/** How many lines of a failed start are shown. */
const shownLines = 20;

export class ProcessInstance extends Instance {
  readonly #reaper: Reaper;
  readonly #launch: (instance: ProcessInstance) => Launch;
  #child: Child | undefined;
  /** Whether we want the process to end; without that, an end is a failure. */
  #endExpected = false;

  constructor(spec: InstanceSpec, hub: LogHub, reaper: Reaper, launch: (instance: ProcessInstance) => Launch) {
    super(spec, hub);
    this.#reaper = reaper;
    this.#launch = launch;
  }

  get pid(): number | undefined {
    return this.#child?.running ? this.#child.pid : undefined;
  }

  async start(): Promise<void> {
    if (this.#child?.running) {
      throw new OrchestratorError('USAGE', `${this.name} runs already (it is ${this.state}).`);
    }
    this.#endExpected = false;
    this.starts += 1;
    this.setState('starting');
    try {
      await this.#startAndWait();
    } catch (error) {
      this.#endExpected = true;
      this.#child?.signal('SIGKILL');
      this.setState('failed', messageOf(error));
      throw error;
    }
    this.setState('ready');
  }

  async #startAndWait(): Promise<void> {
    const listening = Promise.withResolvers<Readonly<Record<string, string>>>();
    const firstLines: string[] = [];
    const child = this.#spawn((line, record) => {
      if (firstLines.length < shownLines) firstLines.push(line);
      if (record.msg === 'listening') listening.resolve(addressesIn(record, Object.keys(this.spec.spec.ports)));
    });
    const details = (): string => firstLines.join('\n');

    const over = new AbortController();
    const ended = child.exited.then((exit) => {
      throw this.#startError(exit, details());
    });
    const late = new Promise<never>((_, reject) => {
      const timer = setTimeout(
        () =>
          reject(
            new OrchestratorError('UNHEALTHY', `${this.name} was not ready after ${readyTimeoutMs / 1000} s.`, {
              details: details(),
            }),
          ),
        readyTimeoutMs,
      );
      over.signal.addEventListener('abort', () => clearTimeout(timer));
    });
    ended.catch(() => {});
    try {
      this.setAddresses(await Promise.race([listening.promise, ended, late]));
      await Promise.race([waitUntilReady(this.probeUrl, over.signal), ended, late]);
    } finally {
      over.abort();
    }
  }

  #spawn(onLine: (line: string, record: LogRecord) => void): Child {
    const child = new Child(this.#reaper, {
      ...this.#launch(this),
      stdin: 'pipe',
      onLine: (line, stream) => {
        const level = stream === 'stderr' ? 'warn' : 'info';
        const record = parseLogLine(line, { service: this.service, instance: this.name, level });
        onLine(line, record);
        this.hub.add(record);
      },
    });
    this.#child = child;
    void child.exited.then((exit) => this.#onExit(child, exit));
    return child;
  }

  #startError(exit: Exit, details: string): OrchestratorError {
    if (exit.kind === 'code' && exit.code === exitCodeOfTakenPort) {
      const port = /127\.0\.0\.1:(\d+)/.exec(details)?.[1];
      const holder = port === undefined ? '' : `: ${describePortHolder(Number(port))} has it`;
      return new OrchestratorError('PORT_TAKEN', `${this.name} cannot listen on its port${holder}.`, { details });
    }
    const how = describeExit(exit);
    return new OrchestratorError('UNHEALTHY', `${this.name} ended before it was ready (${how}).`, { details });
  }

  #onExit(child: Child, exit: Exit): void {
    if (child !== this.#child || this.state === 'starting' || this.state === 'failed') return;
    if (this.#endExpected) {
      this.setState('stopped');
      return;
    }
    const failure = `ended by itself (${describeExit(exit)})`;
    this.setState('failed', failure);
    this.hub.add({
      time: new Date().toISOString(),
      level: 'error',
      msg: `${this.name} ${failure}; \`./bimetal restart ${this.name}\` starts it again`,
      service: 'orchestrator',
      instance: 'orchestrator',
    });
  }

  async stop({ timeoutMs = stopTimeoutMs, force = false }: StopOptions = {}): Promise<void> {
    const child = this.#child;
    if (!child?.running) return this.setState('stopped');
    this.#endExpected = true;
    this.setState('stopping');
    child.signal('SIGTERM');
    child.signal('SIGCONT');
    if (await child.exitedWithin(timeoutMs)) return this.setState('stopped');
    if (!force) {
      throw new OrchestratorError(
        'STOP_TIMED_OUT',
        `${this.name} (pid ${child.pid}) has not ended ${timeoutMs} ms after SIGTERM and was left as it is; --force kills it.`,
      );
    }
    await this.kill();
  }

  /** The quick drain at the end of a run: the services watch their standard input, others get SIGTERM. */
  async endWithin(ms: number): Promise<void> {
    const child = this.#child;
    if (!child?.running) return;
    this.#endExpected = true;
    this.setState('stopping');
    child.closeStdin();
    if (this.spec.spec.build.kind === 'node') child.signal('SIGTERM');
    child.signal('SIGCONT');
    if (!(await child.exitedWithin(ms))) await this.kill();
  }

  async kill(): Promise<void> {
    this.#endExpected = true;
    this.#child?.signal('SIGKILL');
    await this.#child?.exited;
    this.setState('stopped');
  }

  async pause(): Promise<void> {
    this.#child?.signal('SIGSTOP');
    this.setState('paused');
  }

  async resume(): Promise<void> {
    this.#child?.signal('SIGCONT');
    this.setState('unready');
    const limit = AbortSignal.timeout(readyTimeoutMs);
    this.observe(await waitUntilReady(this.probeUrl, limit));
  }
}

/** In the order of the model. */
const addressesIn = (record: LogRecord, ports: readonly string[]): Record<string, string> => {
  const given = Object(record['addresses']);
  const entries = ports.map((port) => [port, Reflect.get(given, port)]);
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
};
