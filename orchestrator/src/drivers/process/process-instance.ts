import { messageOf, OrchestratorError } from '../../errors.ts';
import type { LogHub } from '../../logs/hub.ts';
import type { InstanceSpec } from '../../model/instances.ts';
import { describeExit } from '../../process/child.ts';
import type { Reaper } from '../../process/reaper-client.ts';
import type { Generation, LaunchChange } from '../generation.ts';
import { waitUntilReady } from '../health.ts';
import { Instance, type StopOptions } from '../instance.ts';
import { type Launch, ProcessGeneration, readyTimeoutMs } from './process-generation.ts';

/** What to run for an instance. `beside`: another process of it has its addresses. */
export type MakeLaunch = (instance: ProcessInstance, change: LaunchChange, beside: boolean) => Launch;

export class ProcessInstance extends Instance {
  readonly #reaper: Reaper;
  readonly #firstChange: () => LaunchChange;
  readonly #makeLaunch: MakeLaunch;
  #generation: ProcessGeneration | undefined;
  /** Started and not adopted: they are to end with the instance. */
  readonly #others = new Set<ProcessGeneration>();
  #generations = 0;

  constructor(
    spec: InstanceSpec,
    hub: LogHub,
    reaper: Reaper,
    firstChange: () => LaunchChange,
    makeLaunch: MakeLaunch,
  ) {
    super(spec, hub);
    this.#firstChange = firstChange;
    this.#reaper = reaper;
    this.#makeLaunch = makeLaunch;
  }

  get pid(): number | undefined {
    return this.#generation?.running ? this.#generation.pid : undefined;
  }

  get change(): LaunchChange {
    const { once: _, ...kept } = this.#generation?.change ?? this.#firstChange();
    return kept;
  }

  async start(change = this.change): Promise<void> {
    if (this.#generation?.running) {
      throw new OrchestratorError('USAGE', `${this.name} runs already (it is ${this.state}).`);
    }
    this.setState('starting');
    const generation = this.#spawn(change, false);
    this.#generation = generation;
    this.starts += 1;
    try {
      await generation.whenListening();
      this.setAddresses(generation.addresses, generation.innerAddresses);
      await generation.whenReady();
    } catch (error) {
      await generation.kill();
      this.setState('failed', messageOf(error));
      throw error;
    }
    this.setState('ready');
  }

  async startNext(change: LaunchChange, limitMs?: number): Promise<Generation> {
    const next = this.#spawn({ ...this.change, ...change }, true);
    this.#others.add(next);
    void next.exited.then(() => this.#others.delete(next));
    try {
      await next.whenListening(limitMs);
      return next;
    } catch (error) {
      await next.kill();
      throw error;
    }
  }

  adopt(next: Generation): Generation | undefined {
    const former = this.#generation;
    if (!(next instanceof ProcessGeneration)) throw new Error('a generation of another driver');
    this.#others.delete(next);
    if (former) this.#others.add(former);
    this.#generation = next;
    this.starts += 1;
    this.setAddresses(next.addresses, next.innerAddresses);
    this.setState('ready');
    return former;
  }

  #spawn(change: LaunchChange, beside: boolean): ProcessGeneration {
    this.#generations += 1;
    const generation = new ProcessGeneration({
      spec: this.spec,
      number: this.#generations,
      change,
      launch: this.#makeLaunch(this, change, beside),
      reaper: this.#reaper,
      hub: this.hub,
    });
    void generation.exited.then(({ exit, expected }) => {
      if (generation !== this.#generation || this.state === 'starting' || this.state === 'failed') return;
      if (expected) this.setState('stopped');
      else this.reportEnd(describeExit(exit));
    });
    return generation;
  }

  async stop(options: StopOptions = {}): Promise<void> {
    if (this.#generation?.running) this.setState('stopping');
    await this.#generation?.stop(options);
    this.setState('stopped');
  }

  /** Whether it has ended by then, once it was told to. */
  async endedWithin(ms: number): Promise<boolean> {
    this.setState('stopping');
    return (await this.#generation?.endedWithin(ms)) ?? true;
  }

  async endWithin(ms: number): Promise<void> {
    if (this.#generation?.running) this.setState('stopping');
    await Promise.all([this.#generation, ...this.#others].map((generation) => generation?.endWithin(ms)));
  }

  async kill(): Promise<void> {
    await this.#generation?.kill();
    this.setState('stopped');
  }

  async pause(): Promise<void> {
    await this.#generation?.pause();
    this.setState('paused');
  }

  async resume(): Promise<void> {
    this.#generation?.resume();
    this.setState('unready');
    this.observe(await waitUntilReady(this.probeUrl, AbortSignal.timeout(readyTimeoutMs)));
  }
}
