import { join } from 'node:path';
import { buildSteps } from '../../build/build.ts';
import { OrchestratorError } from '../../errors.ts';
import type { ContractGate } from '../../identity/contract-gate.ts';
import type { LogHub } from '../../logs/hub.ts';
import { customise } from '../../model/customise.ts';
import { drivenInstances, type InstanceSpec, serviceOf, startOrder } from '../../model/instances.ts';
import { fixedPortOf, isBehindEdge, routesOf } from '../../model/routes.ts';
import { environmentOf } from '../../model/settings.ts';
import { surroundingsOf } from '../../model/surroundings.ts';
import type { PlatformModel } from '../../model/types.ts';
import type { Report, Step } from '../../platform/steps.ts';
import { controlAddress, loadControlCalls, Wiring } from '../../platform/wiring.ts';
import { describePortHolder } from '../../process/port-holder.ts';
import { isPortFree } from '../../process/ports.ts';
import type { Reaper } from '../../process/reaper-client.ts';
import type { Driver } from '../driver.ts';
import type { Build, LaunchChange } from '../generation.ts';
import { PinnedPrograms } from './pinned-programs.ts';
import type { Launch } from './process-generation.ts';
import { ProcessInstance } from './process-instance.ts';

export interface ProcessDriverOptions {
  /** Of the run. */
  readonly name: string;
  readonly model: PlatformModel;
  readonly hub: LogHub;
  readonly reaper: Reaper;
  readonly gate: ContractGate;
  readonly token: string;
  readonly ports: 'fixed' | 'free';
  readonly release: boolean;
  /** Where nodes keep their entries; absent: nowhere. */
  readonly dataFolder?: string;
  readonly signal: AbortSignal;
  /** For every instance, without the BIMETAL_ prefix. */
  readonly settings: Readonly<Record<string, string | undefined>>;
}

/** Runs the native binaries as processes of this machine. */
export class ProcessDriver implements Driver {
  readonly kind = 'process';
  readonly steps: readonly Step[];
  readonly wiring: Wiring;
  readonly #options: ProcessDriverOptions;
  readonly #programs: PinnedPrograms;
  #model: PlatformModel;
  #instances: ProcessInstance[];
  /** Also those that a change of the number of instances left out: they are to be ended, too. */
  readonly #everStarted = new Set<ProcessInstance>();

  constructor(options: ProcessDriverOptions) {
    this.#options = options;
    this.#model = options.model;
    this.#programs = new PinnedPrograms(options.name, options.reaper);
    this.#instances = drivenInstances(options.model).map((spec) => this.#makeInstance(spec));
    this.wiring = new Wiring({
      model: () => this.#model,
      instances: () => this.#instances,
      edgeListen: (fixedPort) => `127.0.0.1:${options.ports === 'free' ? 0 : fixedPort}`,
      token: options.token,
      hub: options.hub,
    });
    this.steps = [
      ...(options.ports === 'fixed'
        ? [{ title: 'Look whether the ports are free', run: () => this.#checkPorts() }]
        : []),
      ...buildSteps(options),
      ...startOrder(options.model)
        .filter((services) => services.some((service) => this.#instancesOf(service).length > 0))
        .map((services) => this.#startStep(services)),
    ];
  }

  get model(): PlatformModel {
    return this.#model;
  }

  get instances(): readonly ProcessInstance[] {
    return this.#instances;
  }

  #makeInstance(spec: InstanceSpec): ProcessInstance {
    const { hub, reaper, release } = this.#options;
    const firstBuild = (): Build => ({
      kind: 'program',
      command: this.#programs.of(spec.service, spec.spec, release),
    });
    return new ProcessInstance(spec, hub, reaper, firstBuild, (instance, change, beside) =>
      this.#launch(instance, change, beside),
    );
  }

  resize(service: string, replicas: number): readonly ProcessInstance[] {
    this.#model = customise(this.#model, { services: { [service]: { replicas } } });
    const known = new Map(this.#instances.map((instance) => [instance.name, instance]));
    for (const instance of this.#instances) this.#everStarted.add(instance);
    this.#instances = drivenInstances(this.#model).map((spec) => known.get(spec.name) ?? this.#makeInstance(spec));
    return this.#instancesOf(service);
  }

  #instancesOf(service: string): ProcessInstance[] {
    return this.#instances.filter((instance) => instance.service === service);
  }

  /** Asked before anything is built: a taken port is the most common reason why a start fails. */
  async #checkPorts(): Promise<void> {
    const own = this.#instances
      .filter(({ spec }) => !isBehindEdge(spec.spec))
      .flatMap(({ name, spec }) =>
        Object.keys(spec.spec.ports).map((port) => ({
          who: `${name} needs (${port})`,
          number: fixedPortOf(spec, port),
        })),
      );
    const fixed = routesOf(this.#model).map(({ name, fixedPort }) => ({
      who: `the edge needs for ${name}`,
      number: fixedPort,
    }));
    for (const { who, number } of [...own, ...fixed]) {
      if (await isPortFree(number)) continue;
      throw new OrchestratorError(
        'PORT_TAKEN',
        `Port ${number}, which ${who}, is taken by ${describePortHolder(number)}.`,
      );
    }
  }

  #startStep(services: readonly string[]): Step {
    const instances = services.flatMap((service) => this.#instancesOf(service));
    const hasNodes = instances.some(({ spec }) => spec.spec.node);
    return {
      title: `Start ${instances.map(({ name }) => name).join(', ')}`,
      run: async () => {
        this.#options.signal.throwIfAborted();
        await Promise.all([startTogether(instances), hasNodes ? loadControlCalls() : undefined]);
        await this.#options.gate.admit(instances);
        // The addresses of the nodes are known now; whoever starts later gets them as a setting.
        if (hasNodes) await this.wiring.publishTopology(this.wiring.nextTopology());
        await this.wiring.publishRoutes();
      },
    };
  }

  #launch(instance: ProcessInstance, change: LaunchChange, beside: boolean): Launch {
    const { token, settings } = this.#options;
    const { spec } = instance;
    const at = surroundingsOf(
      this.#model,
      spec,
      {
        // Started again after its end, an instance keeps the ports that it was given.
        listen: ({ name }, port) =>
          (beside || name !== instance.name ? undefined : instance.addresses[port]) ?? this.#anyOrFixed(spec, port),
        direct: ({ name }, port) => this.#instances.find((other) => other.name === name)?.addresses[port],
        edgeListen: (fixedPort) => `127.0.0.1:${fixedPort}`,
        fixed: (route) => this.wiring.endpoint(route),
      },
      this.wiring.topologyIfKnown,
    );
    const own = environmentOf(spec, at, {
      // The edge is told its routes when there is somebody to forward to.
      ...(spec.spec.edge && { ROUTES: undefined }),
      RUN_TOKEN: token,
      LOG_FORMAT: 'json',
      WATCH_STDIN: 'true',
      DATA_DIR: this.#dataFolderOf(spec),
      ...settings,
      ...change.settings,
      ...change.once,
    });
    if (change.build?.kind !== 'program') throw new Error(`${spec.name} has no program`);
    const [command, ...args] = change.build.command;
    return { command, args, env: { ...inheritedEnvironment(), ...own } };
  }

  #dataFolderOf({ name, spec }: InstanceSpec): string | undefined {
    const { dataFolder } = this.#options;
    return dataFolder !== undefined && spec.node ? join(dataFolder, name) : undefined;
  }

  /** What is behind the edge needs no port that anybody knows. */
  #anyOrFixed(spec: InstanceSpec, port: string): string {
    const isFixed = this.#options.ports === 'fixed' && !isBehindEdge(spec.spec);
    return `127.0.0.1:${isFixed ? fixedPortOf(spec, port) : 0}`;
  }

  async build(service: string, signal: AbortSignal, report: Report): Promise<Build> {
    const spec = serviceOf(this.#model, service);
    const model = { ...this.#model, services: { [service]: spec } };
    for (const step of buildSteps({ ...this.#options, model, signal })) await step.run(report);
    return { kind: 'program', command: this.#programs.pin(service, spec, this.#options.release) };
  }

  async #keepAndEnd(instance: ProcessInstance, ms: number): Promise<void> {
    const { hub, token } = this.#options;
    if (instance.isUp && ms > 0) {
      const { drain } = await loadControlCalls();
      await drain(controlAddress(instance), 0, { token, timeoutMs: ms }).catch(() => {});
      if (await instance.endedWithin(ms)) return;
      hub.say('error', `${instance.name} had not written its entries within ${ms} ms: they are lost`);
    }
    await instance.endWithin(0);
  }

  /** Callers before those whom they call, so that what is in flight can finish; the edge goes with the callers. */
  async stop(drainMs: number): Promise<void> {
    const all = [...new Set([...this.#everStarted, ...this.#instances])];
    const nodes = all.filter(({ spec }) => spec.spec.node);
    const others = all.filter(({ spec }) => !spec.spec.node);
    const deadline = Date.now() + drainMs;
    await Promise.all(others.map((instance) => instance.endWithin(drainMs / 2)));
    const end = (instance: ProcessInstance): Promise<void> => {
      const ms = Math.max(0, deadline - Date.now());
      // What has something to write is told to drain; the others see their standard input close.
      return this.#dataFolderOf(instance.spec) ? this.#keepAndEnd(instance, ms) : instance.endWithin(ms);
    };
    await Promise.all(nodes.map(end));
    this.#programs.remove();
  }
}

/** Reports the first failure only when all have ended up somewhere, so that none is left half started. */
const startTogether = async (instances: readonly ProcessInstance[]): Promise<void> => {
  const results = await Promise.allSettled(instances.map((instance) => instance.start()));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
};

/** What the services need of our environment; BIMETAL_ settings of ours are not theirs. */
const inheritedEnvironment = (): Record<string, string> =>
  Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined && !entry[0].startsWith('BIMETAL_'),
    ),
  );
