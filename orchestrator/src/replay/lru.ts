/** An exact LRU of so many entries that only counts: what the cache's hit ratio is compared with. */
export class ExactLru {
  readonly #capacity: number;
  // A Map keeps the order of insertion: the first key is the least recently used.
  readonly #pages = new Map<number, true>();
  #hits = 0;
  #misses = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Refers to a page: a hit makes it the most recently used, a miss puts it in. */
  refer(page: number): void {
    if (this.#pages.delete(page)) {
      this.#hits += 1;
    } else {
      this.#misses += 1;
      if (this.#pages.size >= this.#capacity) {
        const [oldest] = this.#pages.keys();
        if (oldest !== undefined) this.#pages.delete(oldest);
      }
    }
    if (this.#capacity > 0) this.#pages.set(page, true);
  }

  get hits(): number {
    return this.#hits;
  }

  get misses(): number {
    return this.#misses;
  }
}
