import { randomBytes } from 'node:crypto';
import { Client, type Outcome, type Request } from './client.ts';
import { Keyspace } from './keyspace.ts';
import type { Meter } from './meter.ts';
import { compareAndSwap, increment, type Operation, read, write } from './operations.ts';
import { type Kind, kinds, type LoadOptions, type Settings, settle } from './options.ts';
import { fillKeys, sweepKeys, verifyKeys } from './phases.ts';
import { pickerOf, randomFrom } from './random.ts';
import { Recorder } from './recorder.ts';
import { type LoadReport, reportOf } from './report.ts';
import { Schedule } from './schedule.ts';
import { StepMeters } from './step-meters.ts';
import { failureOf, isPassing } from './verdict.ts';

/** How often the clock is looked at. (`setImmediate` would take a whole core.) */
const tickMs = 1;
/** Requests sent in one look, so that answers are read in between when the load has to catch up. */
const burst = 256;
const retryPauseMs = 20;

/** Live totals. */
export interface LoadCounts {
  readonly sent: number;
  readonly answered: number;
  readonly failed: number;
  readonly late: number;
  readonly notSent: number;
  readonly lost: number;
  readonly stale: number;
  readonly wrong: number;
  readonly retried: number;
  readonly inFlight: number;
}

/** A load that runs: `startLoad` makes it, `stop` ends it. */
export class Load implements AsyncDisposable {
  readonly #settings: Settings;
  readonly #client: Client;
  readonly #keys: Keyspace;
  readonly #recorder: Recorder;
  readonly #schedule: Schedule;
  readonly #stepMeters: StepMeters;
  readonly #writer = randomBytes(4).toString('hex');
  readonly #pickKind: () => number;
  readonly #pickSize: () => number;
  /** When the writes were due for which there is no free key; never more than `maxInFlight`. */
  readonly #waiting: Readonly<Record<Kind, number[]>> = { read: [], write: [], cas: [], increment: [] };
  readonly #ending = new AbortController();
  readonly #drained = Promise.withResolvers<void>();
  #begin = 0;
  #lastTick = 0;
  #inFlight = 0;
  #evictedBefore: number | undefined;
  #report: Promise<LoadReport> | undefined;
  readonly startedAt = new Date();
  /** Every key was written once and the load proper has begun. Rejects when the gateway cannot be used. */
  readonly ready: Promise<void>;
  /** The last step is over, or the signal came, or `stop` was called. */
  readonly ended: Promise<void>;

  constructor(options: LoadOptions) {
    this.#settings = settle(options);
    const random = randomFrom(this.#settings.seed);
    const { mix, sizes, steps, signal } = this.#settings;
    this.#client = new Client(this.#settings);
    this.#keys = new Keyspace(this.#settings, this.#writer, random);
    this.#recorder = new Recorder(this.#settings);
    this.#schedule = new Schedule(steps);
    this.#stepMeters = new StepMeters(steps, this.#recorder);
    this.#pickKind = pickerOf(
      kinds.map((kind) => mix[kind]),
      random,
    );
    const pickSize = pickerOf(
      sizes.map(({ weight }) => weight),
      random,
    );
    this.#pickSize = () => sizes[pickSize()]?.bytes ?? 0;
    this.ended = new Promise((resolve) => this.#ending.signal.addEventListener('abort', () => resolve()));
    this.ready = this.#start();
    // Whoever does not wait for `ready` learns of it from `stop`.
    this.ready.catch(() => this.#ending.abort());
    signal?.addEventListener('abort', () => this.#ending.abort());
    if (signal?.aborted) this.#ending.abort();
  }

  /** Milliseconds since the load proper began. */
  now(): number {
    return this.#begin === 0 ? 0 : performance.now() - this.#begin;
  }

  get counts(): LoadCounts {
    const { sent, answered, failed, late, notSent, lost, stale, wrong, retried } = this.#recorder;
    return {
      sent,
      answered,
      failed: failed.total,
      late: late.total,
      notSent: notSent.total,
      lost: lost.total,
      stale: stale.total,
      wrong: wrong.total,
      retried: retried.total,
      inFlight: this.#inFlight,
    };
  }

  /** Counts from now on, to be read as often as wanted. */
  meter(): Meter & { readonly take: () => ReturnType<Meter['read']> } {
    const meter = this.#recorder.meter(this.now());
    return Object.assign(meter, { take: () => meter.read(this.now()) });
  }

  /** Ends the load: waits for its answers, reads every key once more, removes them, and reports. */
  stop(): Promise<LoadReport> {
    this.#report ??= this.#stop();
    return this.#report;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop().catch(() => {});
  }

  async #start(): Promise<void> {
    this.#evictedBefore = await this.#settings.evictions?.();
    await fillKeys(
      this.#client,
      this.#keys,
      this.#writer,
      this.#pickSize,
      this.#settings.patienceMs,
      this.#ending.signal,
    );
    this.#begin = performance.now();
    this.#lastTick = 0;
    this.#stepMeters.begin();
    this.#tick();
  }

  #tick = (): void => {
    const now = this.now();
    this.#recorder.tick(now, Math.max(0, now - this.#lastTick - tickMs));
    this.#lastTick = now;
    if (this.#ending.signal.aborted) {
      this.#drain();
      return;
    }
    for (let count = 0; count < burst; count++) {
      const due = this.#schedule.next;
      if (due === undefined) {
        this.#ending.abort();
        this.#drain();
        return;
      }
      if (due > now) break;
      this.#stepMeters.at(this.#schedule.step, due);
      this.#schedule.take();
      this.#request(due);
    }
    setTimeout(this.#tick, tickMs);
  };

  /** Goes on looking at the clock until the last answer is there. */
  #drain(): void {
    if (this.#inFlight === 0) this.#drained.resolve();
    else setTimeout(this.#tick, tickMs);
  }

  #request(due: number): void {
    const { maxInFlight } = this.#settings;
    if (this.#inFlight >= maxInFlight) {
      this.#recorder.skip(`${maxInFlight} requests were waiting for their answers`);
      return;
    }
    this.#inFlight += 1;
    this.#recorder.request();
    const kind = kinds[this.#pickKind()] ?? 'read';
    if (!this.#send(kind, due)) this.#waiting[kind].push(due);
  }

  /** False when a write has no free key: each key has at most one write on its way. */
  #send(kind: Kind, due: number): boolean {
    const operation = this.#operation(kind);
    if (operation === undefined) return false;
    const request = this.#settings.idempotent ? withKey(operation) : operation.request;
    this.#attempt(operation, request, due, this.now(), false);
    return true;
  }

  /** A key has become free: the write that waits longest takes it. */
  #sendWaiting(): void {
    for (const kind of kinds) {
      const [due] = this.#waiting[kind];
      if (due !== undefined && this.#send(kind, due)) this.#waiting[kind].shift();
    }
  }

  #operation(kind: Kind): Operation | undefined {
    if (kind === 'read') return read(this.#keys.toRead());
    if (kind === 'increment') {
      const place = this.#keys.toIncrement();
      return place && increment(place);
    }
    const place = this.#keys.toWrite();
    const act = kind === 'cas' ? compareAndSwap : write;
    return place && act(place, this.#writer, this.#pickSize());
  }

  #attempt(operation: Operation, request: Request, due: number, sent: number, mayHaveBegun: boolean): void {
    this.#client.send(request, (outcome) => {
      if (this.#repeats(operation, outcome, sent)) {
        const { kind, why } = failureOf(outcome);
        this.#recorder.retried.add(why);
        const again = (): void => this.#attempt(operation, request, due, sent, mayHaveBegun || kind === 'unknown');
        setTimeout(again, retryPauseMs);
        return;
      }
      this.#inFlight -= 1;
      this.#recorder.result(operation, operation.settle(outcome, mayHaveBegun), { due, sent, end: this.now() });
      if (operation.kind !== 'read') this.#sendWaiting();
    });
  }

  #repeats({ kind }: Operation, outcome: Outcome, sent: number): boolean {
    const { idempotent, timeoutMs } = this.#settings;
    return idempotent && kind !== 'read' && isPassing(outcome) && this.now() - sent < timeoutMs;
  }

  async #stop(): Promise<LoadReport> {
    this.#ending.abort();
    try {
      await this.ready;
      await this.#drained.promise;
      const { patienceMs } = this.#settings;
      const ended = this.now();
      this.#recorder.end(ended);
      const seconds = ended / 1_000;
      const steps = this.#stepMeters.end(ended);
      const unverified = await verifyKeys(this.#client, this.#keys, this.#recorder, this.now(), patienceMs);
      const evicted = await this.#evicted();
      const notSwept = await sweepKeys(this.#client, this.#keys, patienceMs);
      const { startedAt } = this;
      const [settings, recorder] = [this.#settings, this.#recorder];
      return reportOf({ settings, recorder, startedAt, seconds, steps, unverified, evicted, notSwept });
    } finally {
      await this.#client.close();
    }
  }

  async #evicted(): Promise<number | undefined> {
    const now = await this.#settings.evictions?.();
    return now === undefined ? undefined : Math.max(0, now - (this.#evictedBefore ?? 0));
  }
}

const withKey = ({ kind, request }: Operation): Request =>
  kind === 'read'
    ? request
    : { ...request, headers: { ...request.headers, 'idempotency-key': randomBytes(16).toString('hex') } };

/** Starts a load of requests at a constant rate, or in steps, of which every answer is judged. */
export const startLoad = (options: LoadOptions): Load => new Load(options);
