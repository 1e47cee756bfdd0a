import { messageOf, OrchestratorError } from '../../errors.ts';
import type { LogHub } from '../../logs/hub.ts';
import type { InstanceSpec } from '../../model/instances.ts';
import type { Generation, LaunchChange } from '../generation.ts';
import { waitUntilReady } from '../health.ts';
import { Instance, type StopOptions } from '../instance.ts';
import {
  type Container,
  ContainerGeneration,
  type Launched,
  type OpenLogs,
  readyTimeoutMs,
} from './container-generation.ts';

/** Makes (or, at a number that there was, makes anew) the container of a generation. */
export type LaunchContainer = (instance: ContainerInstance, number: number, change: LaunchChange) => Promise<Launched>;

/** A container of the run's compose project. */
export class ContainerInstance extends Instance {
  readonly #openLogs: OpenLogs;
  readonly #launch: LaunchContainer;
  readonly #firstChange: () => LaunchChange;
  #generation: ContainerGeneration | undefined;
  /** Made beside the one that compose made, and not the instance's own (any more). */
  readonly #others = new Set<ContainerGeneration>();
  #generations = 0;

  constructor(
    spec: InstanceSpec,
    hub: LogHub,
    openLogs: OpenLogs,
    firstChange: () => LaunchChange,
    launch: LaunchContainer,
  ) {
    super(spec, hub);
    this.#firstChange = firstChange;
    this.#openLogs = openLogs;
    this.#launch = launch;
  }

  /** Compose has started its container, which is not ready yet. */
  async follow(container: Container): Promise<void> {
    if (this.#generation) return;
    this.#generation = this.#wrap(container, this.change);
    this.starts += 1;
    this.setState('starting');
    await this.#generation.followLogs(0);
  }

  /** Resolves when it is ready. */
  async take({ container, addresses, innerAddresses }: Launched): Promise<void> {
    await this.follow(container);
    Object.assign(this.#own, { addresses, innerAddresses });
    this.setAddresses(addresses, innerAddresses);
    await this.#own.whenReady();
    this.setState('ready');
  }

  #wrap(container: Container, change: LaunchChange, number = ++this.#generations): ContainerGeneration {
    return new ContainerGeneration({
      spec: this.spec,
      number,
      change,
      container,
      hub: this.hub,
      openLogs: this.#openLogs,
      onEnd: (generation, exitCode) => {
        if (generation !== this.#generation || this.state === 'starting' || this.state === 'failed') return;
        this.reportEnd(`exit code ${exitCode}`);
      },
    });
  }

  get #own(): ContainerGeneration {
    if (this.#generation) return this.#generation;
    throw new OrchestratorError('USAGE', `${this.name} has no container yet.`);
  }

  get change(): LaunchChange {
    const { once: _, ...kept } = this.#generation?.change ?? this.#firstChange();
    return kept;
  }

  /** The process is in another namespace: its pid is of no use here. */
  get pid(): undefined {
    return undefined;
  }

  async start(change?: LaunchChange): Promise<void> {
    // Added to a platform that runs already, it was not in the compose file.
    if (!this.#generation) return this.#startFirst();
    const { State } = await this.#own.container.inspect();
    if (State.Running) throw new OrchestratorError('USAGE', `${this.name} runs already (it is ${this.state}).`);
    this.starts += 1;
    this.setState('starting');
    try {
      if (change || this.#own.change.once) await this.#startAnew(change ?? this.change);
      else await this.#own.restart();
      await this.#own.whenReady();
    } catch (error) {
      this.setState('failed', messageOf(error));
      throw error;
    }
    this.setState('ready');
  }

  async #startFirst(): Promise<void> {
    this.setState('starting');
    try {
      const next = await this.startNext({});
      await next.whenReady();
      this.adopt(next);
    } catch (error) {
      this.setState('failed', messageOf(error));
      throw error;
    }
  }

  /** What a container was made with stands in it for good: it is made anew, at the same ports. */
  async #startAnew(change: LaunchChange): Promise<void> {
    const { number } = this.#own;
    const launched = await this.#launch(this, number, change);
    this.#generation = await this.#follow(launched, change, number);
    this.setAddresses(launched.addresses, launched.innerAddresses);
  }

  async #follow(launched: Launched, change: LaunchChange, number?: number): Promise<ContainerGeneration> {
    const generation = this.#wrap(launched.container, change, number);
    Object.assign(generation, { addresses: launched.addresses, innerAddresses: launched.innerAddresses });
    await generation.followLogs(0);
    return generation;
  }

  async startNext(change: LaunchChange, limitMs?: number): Promise<Generation> {
    const whole = { ...this.change, ...change };
    const number = ++this.#generations;
    const next = await this.#follow(await this.#launch(this, number, whole), whole, number);
    this.#others.add(next);
    try {
      await next.whenListening(limitMs);
      return next;
    } catch (error) {
      await next.kill();
      throw error;
    }
  }

  adopt(next: Generation): Generation | undefined {
    if (!(next instanceof ContainerGeneration)) throw new Error('a generation of another driver');
    const former = this.#generation;
    this.#others.delete(next);
    if (former) this.#others.add(former);
    this.#generation = next;
    this.starts += 1;
    this.setAddresses(next.addresses, next.innerAddresses);
    this.setState('ready');
    return former;
  }

  async stop(options: StopOptions = {}): Promise<void> {
    this.setState('stopping');
    await this.#own.stop(options);
    this.setState('stopped');
  }

  async endWithin(ms: number): Promise<void> {
    if (this.#generation) this.setState('stopping');
    const all = [this.#generation, ...this.#others].filter((generation) => generation !== undefined);
    await Promise.all(all.map((generation) => generation.endWithin(ms)));
    if (this.#generation) this.setState('stopped');
  }

  async kill(): Promise<void> {
    await this.#own.kill();
    this.setState('stopped');
  }

  async pause(): Promise<void> {
    await this.#own.pause();
    this.setState('paused');
  }

  async resume(): Promise<void> {
    await this.#own.resume();
    this.setState('unready');
    this.observe(await waitUntilReady(this.probeUrl, AbortSignal.timeout(readyTimeoutMs)));
  }
}
