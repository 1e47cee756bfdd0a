import type { Step } from './options.ts';

/**
 * The times at which requests are due, in milliseconds since the begin. They do not depend on answers (open loop), and
 * latency counts from them: a server that stalls is charged for all that it made wait (Tene, "coordinated omission").
 */
export class Schedule {
  readonly #steps: readonly Step[];
  #step = 0;
  #stepBegin = 0;
  #taken = 0;

  constructor(steps: readonly Step[]) {
    this.#steps = steps;
  }

  /** The index of the step to which the next request belongs. */
  get step(): number {
    return this.#step;
  }

  /** When the next request is due, or undefined after the last one. */
  get next(): number | undefined {
    for (;;) {
      const step = this.#steps[this.#step];
      if (step === undefined) return undefined;
      const inStep = (this.#taken * 1_000) / step.rate;
      if (inStep < step.seconds * 1_000) return this.#stepBegin + inStep;
      this.#stepBegin += step.seconds * 1_000;
      this.#step += 1;
      this.#taken = 0;
    }
  }

  /** The next request was taken. */
  take(): void {
    this.#taken += 1;
  }
}
