import { type Flaw, flaw, gone, type Seen } from './flaw.ts';
import { readValue } from './value.ts';

/** The greatest version of a key that is known to have been, and which write made it. Sequence 0: none yet. */
interface Known {
  readonly sequence: number;
  readonly version: bigint;
}

/** What a read is judged by: what was known when it was sent. */
export interface Before {
  readonly known: Known;
  /** Writes without an outcome: each may have taken effect, or may still. */
  readonly unknown: readonly number[];
}

const none: readonly number[] = [];

/** A key with more writes of unknown outcome than this is given up for a new one. */
const maxUnknown = 8;
const keptRefusals = 8;

/**
 * A key that this load alone writes, one write after the other: so each answer can be judged exactly. Of a write whose
 * outcome is unknown either value is right from then on, even much later: a node that was stopped executes what lay in
 * its buffers.
 */
export class Register {
  readonly key: string;
  readonly #writer: string;
  #issued = 0;
  #known: Known = { sequence: 0, version: 0n };
  #unknown: readonly number[] = none;
  #refused: readonly number[] = none;
  /** Everything up to this version was judged lost already: a loss is counted once, not by each read. */
  #lostUpTo = 0n;
  /** A write is on its way: the next one has to wait. */
  busy = false;

  constructor(key: string, writer: string) {
    this.key = key;
    this.#writer = writer;
  }

  get isWorn(): boolean {
    return this.#unknown.length > maxUnknown;
  }

  /** The version that a compare-and-swap should expect, or undefined when there is, or may be, no entry. */
  get expected(): bigint | undefined {
    const { version } = this.#known;
    return version > this.#lostUpTo ? version : undefined;
  }

  /** The number of the newest write. */
  get issued(): number {
    return this.#issued;
  }

  before(): Before {
    return { known: this.#known, unknown: this.#unknown };
  }

  issue(): number {
    this.busy = true;
    this.#issued += 1;
    return this.#issued;
  }

  /** The write was acknowledged. `created`: the answer said that there was no entry. */
  acknowledged(sequence: number, version: bigint | undefined, created: boolean, before: Before): Flaw | undefined {
    this.busy = false;
    if (version === undefined) return flaw('wrong', 'an acknowledged write has no ETag');
    const seen = this.#known.sequence === sequence ? this.#known.version : version;
    const isLoss = created && this.#isNewLoss(before.known.version);
    this.#learn(sequence, version);
    if (version <= before.known.version) return flaw('wrong', 'the version of a write is not above the one before');
    if (seen !== version) return flaw('wrong', 'a write was seen under another version than was acknowledged');
    return isLoss ? this.#lose(before.known.version, 'a write found no entry') : undefined;
  }

  /** The write certainly did nothing and never will. */
  refused(sequence: number): void {
    this.busy = false;
    this.#refused = [...this.#refused, sequence].slice(-keptRefusals);
  }

  unknown(sequence: number): void {
    this.busy = false;
    if (this.#known.sequence !== sequence) this.#unknown = [...this.#unknown, sequence];
  }

  /** The compare-and-swap of `expected` was refused; `current` is the version that was told. */
  conflicted(
    sequence: number,
    expected: bigint,
    current: bigint | undefined,
    before: Before,
  ): Flaw | 'explained' | undefined {
    this.refused(sequence);
    if (before.unknown.length > 0) return 'explained';
    if (current === undefined) return this.#isNewLoss(expected) ? this.#lose(expected, 'no entry, by 412') : undefined;
    if (current < expected) return flaw('stale', 'an older version, by 412');
    return flaw(
      'wrong',
      current === expected ? '412 although the version is right' : 'a version that nobody wrote, by 412',
    );
  }

  /** `final`: nothing is written any more, so what is older now stays older. */
  judge(seen: Seen, before: Before, final = false): Flaw | undefined {
    if (!seen.found) {
      const { version } = before.known;
      return this.#isNewLoss(version) ? this.#lose(version, 'no entry') : undefined;
    }
    const { version } = seen;
    const stamp = readValue(seen.body);
    if (version === undefined) return flaw('wrong', 'an entry has no ETag');
    if (stamp === undefined) return flaw('wrong', 'bytes that nobody wrote');
    if (stamp.key !== this.key || stamp.writer !== this.#writer) return flaw('wrong', 'the value of another key');
    const found = this.#judgeStamp(stamp.sequence, version, before);
    if (found === undefined) this.#learn(stamp.sequence, version);
    if (found?.kind !== 'stale' || !final) return found;
    if (!this.#isNewLoss(before.known.version)) return undefined;
    this.#lostUpTo = before.known.version;
    return flaw('lost', found.why);
  }

  #judgeStamp(sequence: number, version: bigint, { known, unknown }: Before): Flaw | undefined {
    if (sequence > this.#issued) return flaw('wrong', 'a write that was never sent');
    if (this.#refused.includes(sequence)) return flaw('wrong', 'a refused write took effect');
    if (version < known.version) return flaw('stale', 'an older version');
    if (version === known.version)
      return sequence === known.sequence ? undefined : flaw('wrong', 'two values under one version');
    if (sequence === known.sequence) return flaw('wrong', 'a write took effect twice');
    if (sequence < known.sequence && !unknown.includes(sequence))
      return flaw('stale', 'an older value under a newer version');
    if (sequence === this.#known.sequence && version !== this.#known.version)
      return flaw('wrong', 'a write took effect twice');
    return undefined;
  }

  #learn(sequence: number, version: bigint): void {
    if (version > this.#known.version) this.#known = { sequence, version };
    if (this.#unknown.includes(sequence)) this.#unknown = this.#unknown.filter((other) => other !== sequence);
  }

  #isNewLoss(version: bigint): boolean {
    return version > this.#lostUpTo;
  }

  #lose(version: bigint, why: string): Flaw {
    this.#lostUpTo = version;
    return gone(why);
  }
}
