import { join } from 'node:path';
import { buildSteps } from '../../build/build.ts';
import { OrchestratorError } from '../../errors.ts';
import type { ContractGate } from '../../identity/contract-gate.ts';
import type { LogHub } from '../../logs/hub.ts';
import { type InstanceSpec, serviceOf, startOrder } from '../../model/instances.ts';
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
import { Fleet } from '../fleet.ts';
import type { Build, HeldBuild, LaunchChange } from '../generation.ts';
import { PinnedPrograms } from './pinned-programs.ts';
import type { Launch } from './process-generation.ts';
import { ProcessInstance } from './process-instance.ts';

const anyUnixName = 'unix:@';

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
  readonly fleet: Fleet<ProcessInstance>;
  readonly steps: readonly Step[];
  readonly wiring: Wiring;
  readonly #options: ProcessDriverOptions;
  readonly #programs: PinnedPrograms;

  constructor(options: ProcessDriverOptions) {
    this.#options = options;
    this.#programs = new PinnedPrograms(options.name, options.reaper);
    this.fleet = new Fleet(options.model, (spec) => this.#makeInstance(spec));
    this.wiring = new Wiring({
      fleet: this.fleet,
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
        .filter((services) => services.some((service) => this.fleet.of(service).length > 0))
        .map((services) => this.#startStep(services)),
    ];
  }

  #makeInstance(spec: InstanceSpec): ProcessInstance {
    const { hub, reaper } = this.#options;
    const firstChange = (): LaunchChange =>
      this.fleet.changeOf(spec.service) ?? { build: this.#firstBuild(spec), settings: {} };
    return new ProcessInstance(spec, hub, reaper, firstChange, (instance, change, beside) =>
      this.#launch(instance, change, beside),
    );
  }

  #firstBuild({ service, spec }: InstanceSpec): Build {
    using held = this.#programs.pin(service, spec, this.#options.release);
    return held.build;
  }

  /** Asked before anything is built: a taken port is the most common reason why a start fails. */
  async #checkPorts(): Promise<void> {
    const own = this.fleet.instances
      .filter(({ spec }) => !isBehindEdge(spec.spec))
      .flatMap(({ name, spec }) =>
        Object.keys(spec.spec.ports).map((port) => ({
          who: `${name} needs (${port})`,
          number: fixedPortOf(spec, port),
        })),
      );
    const fixed = routesOf(this.fleet.model).map(({ name, fixedPort }) => ({
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
    const instances = services.flatMap((service) => this.fleet.of(service));
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
      this.fleet.model,
      spec,
      {
        // Started again after its end, an instance keeps the addresses that it was given.
        listen: ({ name }, port) =>
          (beside || name !== instance.name ? undefined : instance.addresses[port]) ?? this.#anyOrFixed(spec, port),
        // Abstract names of Unix sockets are Linux's; elsewhere the edge relays.
        passedListen: (_, port) => {
          const kept = instance.innerAddresses[port];
          if (process.platform !== 'linux') return undefined;
          return !beside && kept?.startsWith(anyUnixName) ? kept : anyUnixName;
        },
        direct: ({ name }, port) => this.fleet.find(name)?.addresses[port],
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

  async build(service: string, signal: AbortSignal, report: Report): Promise<HeldBuild> {
    const spec = serviceOf(this.fleet.model, service);
    const model = { ...this.fleet.model, services: { [service]: spec } };
    for (const step of buildSteps({ ...this.#options, model, signal })) await step.run(report);
    return this.#programs.pin(service, spec, this.#options.release);
  }

  prune(): void {
    this.#programs.prune(this.fleet.instances.map(({ change }) => change.build));
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

  async stop(drainMs: number): Promise<void> {
    // A node that has something to write is told to drain; the others see their standard input close.
    await this.fleet.end(drainMs, (node, ms) =>
      this.#dataFolderOf(node.spec) ? this.#keepAndEnd(node, ms) : node.endWithin(ms),
    );
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
