import type { Counts } from '../../orchestrator/src/tests/result.ts';

/** What one part did. */
export type PartResult = Counts & {
  /** How much it was, for people and for docs/testing-deep.md. */
  readonly figures: readonly string[];
  /** What it could not do here, and why. */
  readonly leftOut: readonly string[];
  /** Of what failed, as the tools say it. */
  readonly details: readonly string[];
};

export type Part = {
  readonly name: string;
  /** Works for about so many minutes, and stops when the signal comes. */
  readonly run: (minutes: number, signal: AbortSignal) => Promise<PartResult>;
};

export const passed = (figures: readonly string[], count = 1): PartResult => ({
  passed: count,
  failed: 0,
  skipped: 0,
  figures,
  leftOut: [],
  details: [],
});

export const failed = (figures: readonly string[], details: readonly string[]): PartResult => ({
  ...passed(figures, 0),
  failed: 1,
  details,
});

export const leftOut = (...reasons: string[]): PartResult => ({ ...passed([], 0), skipped: 1, leftOut: reasons });
