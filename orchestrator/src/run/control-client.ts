import { request } from 'node:http';
import { createInterface } from 'node:readline';
import type { StopOptions } from '../drivers/instance.ts';
import { type FailureCode, failures, OrchestratorError } from '../errors.ts';
import type { LogFilter } from '../logs/filter.ts';
import type { LogRecord } from '../logs/record.ts';
import { http } from '../process/http.ts';
import type { RolloutEvent, RolloutOptions, RolloutReport } from '../rollout/rollout.ts';
import type { ScaleEvent, ScaleReport } from '../scale/scale.ts';
import { findRun, listRuns, type Run } from './run-file.ts';
import type { InstanceStatus, Status } from './status.ts';

export type InstanceAction = 'start' | 'stop' | 'restart' | 'kill' | 'pause' | 'resume';

/** Longer than the longest stop and the longest start together. */
const actionTimeoutMs = 60_000;

/** The run of that name, or NOT_RUNNING with what runs instead. */
export const requireRun = (name: string): Run => {
  const run = findRun(name);
  if (run) return run;
  const others = listRuns().map((other) => other.name);
  const hint = others.length > 0 ? `Running: ${others.join(', ')} (choose by --name).` : '`npm start` starts it.';
  throw new OrchestratorError('NOT_RUNNING', `No platform "${name}" runs here. ${hint}`);
};

/** Asks the owner of a run. */
export class ControlClient {
  readonly run: Run;
  readonly #base: string;

  constructor(run: Run) {
    if (run.control === undefined) {
      throw new OrchestratorError(
        'NOT_RUNNING',
        `The platform "${run.name}" (owner: pid ${run.pid}) is not ready yet, or a test's own.`,
      );
    }
    this.run = run;
    this.#base = run.control;
  }

  static connect(name: string): ControlClient {
    return new ControlClient(requireRun(name));
  }

  async status(): Promise<Status> {
    return JSON.parse(await this.#ask('GET', '/v1/status'));
  }

  /** `force`: as a Ctrl-C, which waits for 0.8 s. */
  async stop(force = false): Promise<void> {
    await this.#ask('POST', '/v1/stop', { force });
  }

  async act(
    name: string,
    action: InstanceAction,
    options: StopOptions = {},
  ): Promise<Pick<InstanceStatus, 'name' | 'state'>> {
    return JSON.parse(await this.#ask('POST', `/v1/instances/${encodeURIComponent(name)}/${action}`, options));
  }

  /** Rolls out; an aborted signal rolls back. Events are told as they come. */
  rollOut(
    body: Pick<RolloutOptions, 'target' | 'build' | 'settings' | 'limits'>,
    onEvent: (event: RolloutEvent) => void,
    signal: AbortSignal,
  ): Promise<RolloutReport> {
    return this.#change('/v1/rollouts', body, onEvent, signal);
  }

  scale(
    service: string,
    replicas: number,
    onEvent: (event: ScaleEvent) => void,
    signal: AbortSignal,
  ): Promise<ScaleReport> {
    return this.#change('/v1/scale', { service, replicas }, onEvent, signal);
  }

  /** A change of the platform, whose events come as lines and whose last line is its result. */
  async #change<Event, Result>(
    path: string,
    body: object,
    onEvent: (event: Event) => void,
    signal: AbortSignal,
  ): Promise<Result> {
    const { promise, resolve, reject } = Promise.withResolvers<NodeJS.ReadableStream>();
    const outgoing = request(`${this.#base}${path}`, { method: 'POST', headers: this.#headers }, resolve);
    outgoing.on('error', reject);
    outgoing.end(JSON.stringify(body));
    // Not by cutting the connection: the owner still has to tell how the roll-back went.
    signal.addEventListener('abort', () => void this.#ask('POST', '/v1/changes/abort').catch(reject), { once: true });
    for await (const line of createInterface({ input: await promise })) {
      const { event, result, error }: { event?: Event; result?: Result; error?: Refusal } = JSON.parse(line);
      if (event !== undefined) onEvent(event);
      if (result !== undefined) return result;
      if (error !== undefined) throw refused(error);
    }
    throw new OrchestratorError('INTERNAL', 'The owner of the platform went away before it was done.');
  }

  /** Kept records, then, if asked, new ones until the signal is aborted or the run ends. */
  async *logs(
    filter: LogFilter,
    options: { follow: boolean; tail: number; signal: AbortSignal },
  ): AsyncGenerator<LogRecord> {
    const query = new URLSearchParams({ follow: String(options.follow), tail: String(options.tail) });
    if (filter.from && filter.from.length > 0) query.set('from', filter.from.join(','));
    if (filter.level) query.set('level', filter.level);
    if (filter.text !== undefined) query.set('text', filter.text);
    const { promise, resolve, reject } = Promise.withResolvers<NodeJS.ReadableStream>();
    const outgoing = request(
      `${this.#base}/v1/logs?${query}`,
      { headers: this.#headers, signal: options.signal },
      resolve,
    );
    outgoing.on('error', reject);
    outgoing.end();
    const incoming = await promise;
    incoming.on('error', () => {});
    for await (const line of createInterface({ input: incoming })) if (line !== '') yield JSON.parse(line);
  }

  get #headers(): Record<string, string> {
    return { authorization: `Bearer ${this.run.token}`, 'content-type': 'application/json' };
  }

  async #ask(method: string, path: string, body?: object): Promise<string> {
    const answer = await http(`${this.#base}${path}`, {
      method,
      headers: this.#headers,
      timeoutMs: actionTimeoutMs,
      ...(method === 'POST' && { body: JSON.stringify(body ?? {}) }),
    });
    const text = answer.body.toString();
    if (answer.status < 300) return text;
    throw refused({ message: `The owner answered ${answer.status}.`, ...JSON.parse(text) });
  }
}

interface Refusal {
  readonly code?: string;
  readonly message: string;
  readonly details?: string;
}

const refused = ({ code, message, details }: Refusal): OrchestratorError =>
  new OrchestratorError(isFailureCode(code) ? code : 'INTERNAL', message, {
    ...(details !== undefined && { details }),
  });

const isFailureCode = (code: string | undefined): code is FailureCode =>
  code !== undefined && Object.hasOwn(failures, code);
