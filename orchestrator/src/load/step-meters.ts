import type { Meter, Reading } from './meter.ts';
import type { Step } from './options.ts';
import type { Recorder } from './recorder.ts';

export interface StepReading extends Reading {
  readonly rate: number;
}

/** A reading for each step; answers count in the step in which they come. */
export class StepMeters {
  readonly #steps: readonly Step[];
  readonly #recorder: Recorder;
  readonly #readings: StepReading[] = [];
  #meter: Meter | undefined;
  #step = 0;

  constructor(steps: readonly Step[], recorder: Recorder) {
    this.#steps = steps;
    this.#recorder = recorder;
  }

  begin(): void {
    this.#meter = this.#recorder.meter(0);
  }

  /** A request of that step is due. */
  at(step: number, due: number): void {
    if (step === this.#step) return;
    this.#read(due);
    this.#step = step;
  }

  end(now: number): readonly StepReading[] {
    this.#read(now);
    this.#meter?.[Symbol.dispose]();
    return this.#readings;
  }

  #read(now: number): void {
    const step = this.#steps[this.#step];
    if (step && this.#meter) this.#readings.push({ rate: step.rate, ...this.#meter.read(now) });
  }
}
