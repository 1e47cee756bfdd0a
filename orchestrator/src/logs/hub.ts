import type { LogLevel, LogRecord } from './record.ts';

/** How many records are kept for those who look later; older ones are dropped and counted. */
const keptRecords = 5000;

/** Collects the records of all instances, keeps the newest, and hands each to whoever listens. */
export class LogHub {
  readonly #kept: LogRecord[] = [];
  readonly #listeners = new Set<(record: LogRecord) => void>();
  #dropped = 0;

  add(record: LogRecord): void {
    this.#kept.push(record);
    // Trimmed in blocks: shifting an array of thousands for every line costs more than the line.
    if (this.#kept.length >= keptRecords + 500) {
      this.#kept.splice(0, 500);
      this.#dropped += 500;
    }
    for (const listener of this.#listeners) listener(record);
  }

  /** Our own words, among those of the services. */
  say(level: LogLevel, msg: string, fields: Readonly<Record<string, unknown>> = {}): void {
    const time = new Date().toISOString();
    this.add({ time, level, msg, ...fields, service: 'orchestrator', instance: 'orchestrator' });
  }

  /** Oldest first. */
  recent(matches: (record: LogRecord) => boolean = () => true, limit = keptRecords): LogRecord[] {
    return this.#kept.filter(matches).slice(-limit);
  }

  get dropped(): number {
    return this.#dropped;
  }

  /** Returns the function that ends the subscription. */
  subscribe(listener: (record: LogRecord) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
