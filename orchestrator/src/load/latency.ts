import { build, type Histogram } from 'hdr-histogram-js';

/** Milliseconds. */
export interface Latency {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** Times up to a minute, in microseconds inside, three digits. */
export class LatencyRecorder {
  readonly #histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 60_000_000,
    numberOfSignificantValueDigits: 3,
  });

  record(milliseconds: number): void {
    this.#histogram.recordValue(Math.min(60_000_000, Math.max(1, Math.round(milliseconds * 1_000))));
  }

  get count(): number {
    return this.#histogram.totalCount;
  }

  get latency(): Latency {
    const at = (percentile: number): number => this.#histogram.getValueAtPercentile(percentile) / 1_000;
    if (this.count === 0) return { p50: 0, p90: 0, p99: 0, p999: 0, max: 0 };
    return { p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: this.#histogram.maxValue / 1_000 };
  }

  reset(): void {
    this.#histogram.reset();
  }
}
