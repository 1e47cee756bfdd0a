import { expect, test } from '@jest/globals';
import { fromMilliseconds, toMilliseconds } from './durations.ts';

test.each([
  [{ seconds: 0n, nanos: 1 }, 1],
  [{ seconds: 0n, nanos: 1_000_000 }, 1],
  [{ seconds: 0n, nanos: 1_000_001 }, 2],
  [{ seconds: 60n, nanos: 0 }, 60_000],
])('a duration is rounded up to whole milliseconds', (duration, milliseconds) => {
  expect(toMilliseconds(duration)).toBe(milliseconds);
});

test.each([0, 1, 999, 1_000, 1_001, 86_400_000])('%d ms survives the way there and back', (milliseconds) => {
  expect(toMilliseconds(fromMilliseconds(milliseconds))).toBe(milliseconds);
});
