// google.protobuf.Duration and milliseconds.
import type { Duration } from './gen/google/protobuf/duration.ts';

/** Rounded up to whole milliseconds, as the cache does. */
export const toMilliseconds = ({ seconds, nanos }: Duration): number =>
  Number(seconds) * 1_000 + Math.ceil(nanos / 1_000_000);

export const fromMilliseconds = (milliseconds: number): Duration => {
  const seconds = Math.trunc(milliseconds / 1_000);
  return { seconds: BigInt(seconds), nanos: Math.round((milliseconds - seconds * 1_000) * 1_000_000) };
};
