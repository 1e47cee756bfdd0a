import { hashSources } from '../build/sources.ts';
import type { HeldBuild } from '../drivers/generation.ts';
import { messageOf, OrchestratorError } from '../errors.ts';
import { startOrder } from '../model/instances.ts';
import { isBehindEdge } from '../model/routes.ts';
import type { Platform } from '../platform/platform.ts';
import type { RolloutLimits } from '../rollout/limits.ts';
import { serves } from '../rollout/replace.ts';
import { type RolloutEvent, rollOut } from '../rollout/rollout.ts';
import { takeContract } from './contract-change.ts';
import { Watcher } from './watcher.ts';

const contractSources = ['proto'];

/** Somebody waits for this change; a rollout to a place that matters looks longer. */
const limits: Partial<RolloutLimits> = { canaryMs: 200, watchMs: 0 };

/** What one round of changes led to. Times are milliseconds since the change was noticed. */
export interface DevRound {
  readonly contract: 'unchanged' | 'regenerated' | 'refused';
  readonly services: readonly DevChange[];
  /** Until everything that ran before had ended. */
  readonly totalMs: number;
}

export interface DevChange {
  readonly service: string;
  readonly outcome: 'serving' | 'does not build' | 'rolled back';
  /** The compiler's part. */
  readonly buildMs: number;
  /** When callers reached the change at all of its instances; what ran before may still be draining. 0: never. */
  readonly servingMs: number;
}

export interface DevOptions {
  readonly signal: AbortSignal;
  readonly onRound?: (round: DevRound) => void;
}

/** Watches the sources and the contract, and brings every change into the running platform while it serves. */
export const develop = async (platform: Platform, { signal, onRound }: DevOptions): Promise<void> => {
  const loop = new DevLoop(platform, signal);
  using watcher = new Watcher([...contractSources, ...loop.sources]);
  while (!signal.aborted) {
    await watcher.next(signal);
    if (signal.aborted) return;
    const round = await loop.round();
    if (round) onRound?.(round);
  }
};

class DevLoop {
  readonly #platform: Platform;
  readonly #signal: AbortSignal;
  /** What was tried last, whether it worked or not: the same contents are not tried again. */
  readonly #tried = new Map<string, string>();

  constructor(platform: Platform, signal: AbortSignal) {
    this.#platform = platform;
    this.#signal = signal;
    this.#tried.set('proto', hashSources(contractSources, ''));
    for (const service of this.#services) this.#tried.set(service, this.#hashOf(service));
  }

  get #services(): string[] {
    const { model } = this.#platform;
    return startOrder(model)
      .flat()
      .filter((service) => {
        const spec = model.services[service];
        return spec && isBehindEdge(spec) && spec.build.kind !== 'prebuilt';
      });
  }

  #sourcesOf(service: string): readonly string[] {
    // Generated code follows from proto/: a contract edit counts once all of it was made.
    return (this.#platform.model.services[service]?.build.sources ?? []).filter(
      (path) => !contractSources.includes(path),
    );
  }

  #hashOf(service: string): string {
    return hashSources(this.#sourcesOf(service), '');
  }

  get sources(): string[] {
    return this.#services.flatMap((service) => this.#sourcesOf(service));
  }

  /** Undefined: nothing has changed. */
  async round(): Promise<DevRound | undefined> {
    const started = performance.now();
    const contract = await this.#contract();
    const changed = contract === 'refused' ? [] : this.#services.filter((service) => this.#isNew(service));
    if (contract === 'unchanged' && changed.length === 0) return undefined;
    const built = await Promise.all(changed.map((service) => this.#build(service, started)));
    const services: DevChange[] = [];
    for (const { service, build, buildMs } of built) {
      let servingAt = 0;
      const onEvent = ({ step }: RolloutEvent): void => {
        if (step === serves) servingAt = performance.now();
      };
      const outcome = build ? await this.#rollOut(service, build, onEvent) : 'does not build';
      const servingMs = Math.max(0, Math.round(servingAt - started));
      services.push({ service, outcome, buildMs, servingMs });
      if (outcome === 'serving') {
        this.#say('info', `${service} serves the change after ${seconds(servingMs)} (build ${seconds(buildMs)})`);
      }
    }
    return { contract, services, totalMs: Math.round(performance.now() - started) };
  }

  async #contract(): Promise<DevRound['contract']> {
    const hash = hashSources(contractSources, '');
    if (hash === this.#tried.get('proto')) return 'unchanged';
    this.#tried.set('proto', hash);
    const { ok, words } = await takeContract();
    this.#tried.set('proto', hashSources(contractSources, ''));
    if (ok) this.#say('info', `contract: ${words}`);
    else this.#say('error', `the contract edit is refused, and nothing was restarted:\n${words}`);
    return ok ? 'regenerated' : 'refused';
  }

  #isNew(service: string): boolean {
    const hash = this.#hashOf(service);
    if (hash === this.#tried.get(service)) return false;
    this.#tried.set(service, hash);
    return true;
  }

  async #build(service: string, started: number): Promise<{ service: string; build?: HeldBuild; buildMs: number }> {
    const buildMs = (): number => Math.round(performance.now() - started);
    try {
      const build = await this.#platform.build(service, this.#signal, () => {});
      return { service, build, buildMs: buildMs() };
    } catch (error) {
      if (!(error instanceof OrchestratorError) || error.code !== 'BUILD_FAILED') throw error;
      this.#say('error', `${error.message} What ran before goes on.\n${error.details ?? ''}`);
      return { service, buildMs: buildMs() };
    }
  }

  async #rollOut(
    service: string,
    held: HeldBuild,
    onEvent: (event: RolloutEvent) => void,
  ): Promise<DevChange['outcome']> {
    using built = held;
    const options = { target: service, build: built.build, limits, signal: this.#signal, onEvent };
    try {
      // Somebody may be changing the platform from another terminal.
      await this.#platform.whenSettled();
      this.#signal.throwIfAborted();
      const report = await rollOut(this.#platform, options);
      if (report.outcome === 'done') return 'serving';
      this.#say('error', `${service} was rolled back: ${report.reason}`);
    } catch (error) {
      this.#say('error', `${service} could not be replaced: ${messageOf(error)}`);
    }
    return 'rolled back';
  }

  #say(level: 'info' | 'error', text: string): void {
    this.#platform.logs.say(level, text);
  }
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
