import { customise } from '../model/customise.ts';
import { drivenInstances, type InstanceSpec } from '../model/instances.ts';
import type { PlatformModel } from '../model/types.ts';
import type { LaunchChange } from './generation.ts';
import type { Instance } from './instance.ts';

/** The instances of a driver: those of its model, which changes when a service is scaled. */
export class Fleet<One extends Instance> {
  readonly #make: (spec: InstanceSpec) => One;
  #model: PlatformModel;
  #instances: readonly One[];
  /** Also those that a change of their number left out: they are to be ended, too. */
  readonly #ever: Set<One>;

  constructor(model: PlatformModel, make: (spec: InstanceSpec) => One) {
    this.#make = make;
    this.#model = model;
    this.#instances = drivenInstances(model).map(make);
    this.#ever = new Set(this.#instances);
  }

  get model(): PlatformModel {
    return this.#model;
  }

  /** In start order. */
  get instances(): readonly One[] {
    return this.#instances;
  }

  of(service: string): One[] {
    return this.#instances.filter((instance) => instance.service === service);
  }

  find(name: string): One | undefined {
    return this.#instances.find((instance) => instance.name === name);
  }

  /**
   * What the first instance of a service runs, which is what another one is to run; undefined: none was started yet.
   * (They differ only after a rollout to one of them.)
   */
  changeOf(service: string): LaunchChange | undefined {
    return this.of(service).find(({ starts }) => starts > 0)?.change;
  }

  /** Gives a service so many instances and answers them; new ones are still to be started. */
  resize(service: string, replicas: number): readonly One[] {
    this.#model = customise(this.#model, { services: { [service]: { replicas } } });
    this.#instances = drivenInstances(this.#model).map((spec) => this.find(spec.name) ?? this.#make(spec));
    for (const instance of this.#instances) this.#ever.add(instance);
    return this.of(service);
  }

  /**
   * Ends all instances: callers before those whom they call, so that what is in flight can finish; the edge goes with
   * the callers.
   */
  async end(drainMs: number, endNode = (node: One, ms: number): Promise<void> => node.endWithin(ms)): Promise<void> {
    const nodes = [...this.#ever].filter(({ spec }) => spec.spec.node);
    const others = [...this.#ever].filter(({ spec }) => !spec.spec.node);
    const deadline = Date.now() + drainMs;
    await Promise.all(others.map((instance) => instance.endWithin(drainMs / 2)));
    await Promise.all(nodes.map((node) => endNode(node, Math.max(0, deadline - Date.now()))));
  }
}
