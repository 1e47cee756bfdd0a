/**
 * What is wrong with an answer although it is no error:
 * - `lost`: an acknowledged write is gone, although nobody overwrote or deleted it
 * - `stale`: an older value or version than one that was acknowledged, or seen, before the request was sent
 * - `wrong`: what no order of the writes explains: a value under another version, a refused write that took effect, one
 *   that took effect twice, bytes that nobody wrote
 */
export interface Flaw {
  readonly kind: 'lost' | 'stale' | 'wrong';
  /** Classes it in the report: no key, no number. */
  readonly why: string;
  /** Of what is lost: nothing is there, rather than something older. */
  readonly isGone?: true;
}

export const flaw = (kind: Flaw['kind'], why: string): Flaw => ({ kind, why });

export const gone = (why: string): Flaw => ({ kind: 'lost', why, isGone: true });

/** What was answered to a read. */
export type Seen =
  | { readonly found: true; readonly version: bigint | undefined; readonly body: Buffer }
  | { readonly found: false };
