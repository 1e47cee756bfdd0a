import { type Latency, LatencyRecorder } from './latency.ts';
import type { Counted } from './windows.ts';

export interface Reading extends Readonly<Record<Counted, number>> {
  readonly seconds: number;
  readonly answered: number;
  readonly latency: Latency;
}

const nothing = { sent: 0, failed: 0, late: 0, notSent: 0, lost: 0, stale: 0, wrong: 0 };

/** Counts from one reading to the next, for whoever watches a load: a rollout, a step, a phase of a test. */
export class Meter implements Disposable {
  readonly #latency = new LatencyRecorder();
  readonly #forget: (meter: Meter) => void;
  #counts = { ...nothing };
  #since: number;

  constructor(now: number, forget: (meter: Meter) => void) {
    this.#since = now;
    this.#forget = forget;
  }

  count(what: Counted): void {
    this.#counts[what] += 1;
  }

  answered(latency: number): void {
    this.#latency.record(latency);
  }

  /** What was since the last reading. `now`: milliseconds since the begin of the load. */
  read(now: number): Reading {
    const reading = {
      ...this.#counts,
      seconds: (now - this.#since) / 1_000,
      answered: this.#latency.count,
      latency: this.#latency.latency,
    };
    this.#counts = { ...nothing };
    this.#latency.reset();
    this.#since = now;
    return reading;
  }

  [Symbol.dispose](): void {
    this.#forget(this);
  }
}
