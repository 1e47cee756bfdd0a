import { type Flaw, flaw, gone, type Seen } from './flaw.ts';

export interface CounterBefore {
  /** No read from now on may show less. */
  readonly atLeast: number;
  readonly version: bigint;
}

/**
 * A counter that this load alone increments by one, one increment after the other. An increment without an outcome may
 * take effect at any later time, once: between `acknowledged` and `acknowledged + unknown` everything is right.
 */
export class Counter {
  readonly key: string;
  #acknowledged = 0;
  #unknown = 0;
  #seen = 0;
  #version = 0n;
  #lostUpTo = 0n;
  busy = false;

  constructor(key: string) {
    this.key = key;
  }

  before(): CounterBefore {
    return { atLeast: Math.max(this.#acknowledged, this.#seen), version: this.#version };
  }

  issue(): void {
    this.busy = true;
  }

  acknowledged(value: number, version: bigint | undefined, before: CounterBefore): Flaw | undefined {
    this.busy = false;
    if (version === undefined || !Number.isSafeInteger(value)) return flaw('wrong', 'an increment without a result');
    const most = this.#acknowledged + this.#unknown + 1;
    this.#unknown = Math.max(0, Math.min(this.#unknown, most - value));
    this.#acknowledged = value;
    if (value <= before.atLeast) this.#seen = value;
    if (version > this.#version) this.#version = version;
    if (version <= before.version) return flaw('wrong', 'the version of an increment is not above the one before');
    // A loss that was judged while this was on its way explains everything.
    if (before.version < this.#lostUpTo || (before.version === this.#lostUpTo && before.version > 0n)) return undefined;
    if (value > most) return flaw('wrong', 'an increment was counted twice');
    return value > before.atLeast ? undefined : this.#lose(before.version, 'a counter went back');
  }

  refused(): void {
    this.busy = false;
  }

  unknown(): void {
    this.busy = false;
    this.#unknown += 1;
  }

  judge(seen: Seen, before: CounterBefore, final = false): Flaw | undefined {
    if (before.version > 0n && before.version <= this.#lostUpTo) return undefined;
    if (!seen.found) return before.version > 0n ? this.#lose(before.version, 'no counter') : undefined;
    const value = Number(seen.body.toString('latin1'));
    if (seen.version === undefined || !Number.isSafeInteger(value)) return flaw('wrong', 'bytes that nobody wrote');
    if (seen.version < before.version) return flaw(final ? 'lost' : 'stale', 'an older version of a counter');
    if (seen.version === before.version && value !== before.atLeast)
      return flaw('wrong', 'two values under one version');
    if (value < before.atLeast) return this.#lose(before.version, 'a counter went back');
    if (value > this.#acknowledged + this.#unknown + (this.busy ? 1 : 0))
      return flaw('wrong', 'an increment was counted twice');
    if (seen.version > this.#version) {
      this.#version = seen.version;
      this.#seen = Math.max(this.#seen, value);
    }
    return undefined;
  }

  /** What was counted is gone; what is without an outcome may still come. */
  #lose(version: bigint, why: string): Flaw {
    this.#lostUpTo = version;
    if (version >= this.#version) {
      this.#acknowledged = 0;
      this.#seen = 0;
    }
    return gone(why);
  }
}
