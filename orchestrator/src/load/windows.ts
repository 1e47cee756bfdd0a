/** What was answered in one stretch of time. Times in milliseconds. */
export interface Window {
  /** Its begin, since the begin of the load. */
  readonly at: number;
  readonly milliseconds: number;
  readonly sent: number;
  readonly answered: number;
  readonly failed: number;
  readonly late: number;
  readonly notSent: number;
  readonly lost: number;
  readonly stale: number;
  readonly wrong: number;
  /** From the times at which the requests were due. Of several windows in one: the greatest. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** The longest time for which the load itself stood still: what a latency below it says nothing about. */
  readonly stall: number;
}

export const windowMs = 100;

export type Counted = 'sent' | 'failed' | 'late' | 'notSent' | 'lost' | 'stale' | 'wrong';

const empty = { sent: 0, failed: 0, late: 0, notSent: 0, lost: 0, stale: 0, wrong: 0 };

/** Beyond so many, two windows become one: a load of any length has a plot. */
const maxWindows = 3_000;

const rankOf = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

const merge = (a: Window, b: Window): Window => ({
  at: a.at,
  milliseconds: a.milliseconds + b.milliseconds,
  sent: a.sent + b.sent,
  answered: a.answered + b.answered,
  failed: a.failed + b.failed,
  late: a.late + b.late,
  notSent: a.notSent + b.notSent,
  lost: a.lost + b.lost,
  stale: a.stale + b.stale,
  wrong: a.wrong + b.wrong,
  p50: Math.max(a.p50, b.p50),
  p99: Math.max(a.p99, b.p99),
  max: Math.max(a.max, b.max),
  stall: Math.max(a.stall, b.stall),
});

/** The course of a load, window by window. */
export class Windows {
  readonly #onWindow: ((window: Window) => void) | undefined;
  #all: Window[] = [];
  /** How many windows of 100 ms make one in `all`. */
  #each = 1;
  #pending: Window[] = [];
  #at = 0;
  #counts = { ...empty };
  #latencies: number[] = [];
  #stall = 0;

  constructor(onWindow?: (window: Window) => void) {
    this.#onWindow = onWindow;
  }

  count(what: Counted): void {
    this.#counts[what] += 1;
  }

  answered(latency: number): void {
    this.#latencies.push(latency);
  }

  /** Ends the windows that are over at `now`. `stall`: how long the load had not looked. */
  tick(now: number, stall: number): void {
    this.#stall = Math.max(this.#stall, stall);
    while (now >= this.#at + windowMs) this.#close(windowMs);
  }

  /** Ends the last window as well, which is shorter: no request is missing. */
  end(now: number): void {
    this.tick(now, 0);
    if (now > this.#at) this.#close(now - this.#at);
  }

  get all(): readonly Window[] {
    return [...this.#all, ...this.#pending];
  }

  #close(milliseconds: number): void {
    const sorted = this.#latencies.toSorted((a, b) => a - b);
    const window: Window = {
      at: this.#at,
      milliseconds,
      ...this.#counts,
      answered: sorted.length,
      p50: rankOf(sorted, 0.5),
      p99: rankOf(sorted, 0.99),
      max: sorted.at(-1) ?? 0,
      stall: this.#stall,
    };
    this.#at += milliseconds;
    this.#counts = { ...empty };
    this.#latencies = [];
    this.#stall = 0;
    this.#keep(window);
    this.#onWindow?.(window);
  }

  #keep(window: Window): void {
    this.#pending.push(window);
    if (this.#pending.length < this.#each) return;
    this.#all.push(this.#pending.reduce(merge));
    this.#pending = [];
    if (this.#all.length < maxWindows) return;
    this.#each *= 2;
    this.#all = this.#all.flatMap((one, index) => {
      const next = this.#all[index + 1];
      return index % 2 === 0 && next ? [merge(one, next)] : [];
    });
  }
}
