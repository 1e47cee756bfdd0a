/** Counts by reason. Reasons come from short lists; should a server invent them, the rest is counted together. */
export class Tally {
  readonly #byReason = new Map<string, number>();
  total = 0;

  add(reason: string): void {
    this.total += 1;
    const key = this.#byReason.has(reason) || this.#byReason.size < maxReasons ? reason : 'others';
    this.#byReason.set(key, (this.#byReason.get(key) ?? 0) + 1);
  }

  get byReason(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#byReason].toSorted(([, a], [, b]) => b - a));
  }
}

const maxReasons = 50;
