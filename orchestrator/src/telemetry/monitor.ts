import { isReady } from '../drivers/health.ts';
import { http } from '../process/http.ts';
import { type Figures, figuresOf, type Rates, ratesBetween } from './figures.ts';
import { parseMetrics } from './prometheus.ts';

export interface Target {
  readonly name: string;
  readonly service: string;
  /** Undefined while it has no address. */
  readonly probeUrl: () => string | undefined;
  /** Told after every look. */
  readonly onReady?: (ready: boolean) => void;
}

export interface Health {
  readonly ready: boolean;
  /** Absolute figures of the last scrape; absent while it does not answer. */
  readonly figures: Figures | undefined;
  /** Between the last two scrapes. */
  readonly rates: Rates | undefined;
  /** One rate of requests per look, oldest first, for a small graph. */
  readonly history: readonly number[];
}

const lookEveryMs = 1000;
const keptHistory = 120;

const unknown: Health = { ready: false, figures: undefined, rates: undefined, history: [] };

/** Looks at every target once a second: is it ready, and what do its metrics say. */
export class Monitor implements Disposable {
  readonly #targets: () => readonly Target[];
  readonly #health = new Map<string, Health>();
  readonly #lastLook = new Map<string, number>();
  readonly #listeners = new Set<() => void>();
  readonly #timer: NodeJS.Timeout;
  #looking = false;

  constructor(targets: () => readonly Target[]) {
    this.#targets = targets;
    this.#timer = setInterval(() => void this.#look(), lookEveryMs);
    void this.#look();
  }

  health(name: string): Health {
    return this.#health.get(name) ?? unknown;
  }

  onLook(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A slow target must not make looks pile up. */
  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    await Promise.all(this.#targets().map((target) => this.#lookAt(target)));
    this.#looking = false;
    for (const listener of [...this.#listeners]) listener();
  }

  async #lookAt({ name, service, probeUrl, onReady }: Target): Promise<void> {
    const url = probeUrl();
    if (url === undefined) return;
    const [ready, figures] = await Promise.all([isReady(url), scrape(url, service)]);
    const before = this.health(name);
    const now = performance.now();
    const seconds = (now - (this.#lastLook.get(name) ?? now)) / 1000;
    this.#lastLook.set(name, now);
    const rates = figures && before.figures && seconds > 0 ? ratesBetween(before.figures, figures, seconds) : undefined;
    const history = [...before.history, rates?.requestsPerSecond ?? 0].slice(-keptHistory);
    this.#health.set(name, { ready, figures, rates, history });
    onReady?.(ready);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

const scrape = async (url: string, service: string): Promise<Figures | undefined> => {
  try {
    const answer = await http(`${url}/metrics`, { timeoutMs: 900 });
    return answer.status === 200 ? figuresOf(service, parseMetrics(answer.body.toString())) : undefined;
  } catch {
    return undefined;
  }
};
