import { buildSteps, programOf } from '../../build/build.ts';
import { OrchestratorError } from '../../errors.ts';
import type { ContractGate } from '../../identity/contract-gate.ts';
import type { LogHub } from '../../logs/hub.ts';
import { hostPort } from '../../model/compose.ts';
import { drivenInstances, serviceOf, startOrder } from '../../model/instances.ts';
import { environmentOf } from '../../model/settings.ts';
import { topologyOf } from '../../model/topology.ts';
import type { PlatformModel, Topology } from '../../model/types.ts';
import type { Step } from '../../platform/steps.ts';
import { describePortHolder } from '../../process/port-holder.ts';
import { isPortFree } from '../../process/ports.ts';
import type { Reaper } from '../../process/reaper-client.ts';
import type { Driver } from '../driver.ts';
import { type Launch, ProcessInstance } from './process-instance.ts';

export interface ProcessDriverOptions {
  readonly model: PlatformModel;
  readonly hub: LogHub;
  readonly reaper: Reaper;
  readonly gate: ContractGate;
  readonly token: string;
  readonly ports: 'fixed' | 'free';
  readonly release: boolean;
  readonly signal: AbortSignal;
  /** For every instance, without the BIMETAL_ prefix. */
  readonly settings: Readonly<Record<string, string | undefined>>;
}

/** Runs the native binaries as processes of this machine. */
export class ProcessDriver implements Driver {
  readonly kind = 'process';
  readonly instances: readonly ProcessInstance[];
  readonly steps: readonly Step[];
  readonly #options: ProcessDriverOptions;
  #topology: Topology | undefined;

  constructor(options: ProcessDriverOptions) {
    this.#options = options;
    this.instances = drivenInstances(options.model).map(
      (spec) => new ProcessInstance(spec, options.hub, options.reaper, (instance) => this.#launch(instance)),
    );
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

  get topology(): Topology {
    if (!this.#topology)
      throw new OrchestratorError('UNHEALTHY', 'The nodes have not started: there is no topology yet.');
    return this.#topology;
  }

  #instancesOf(service: string): ProcessInstance[] {
    return this.instances.filter((instance) => instance.service === service);
  }

  /** Asked before anything is built: a taken port is the most common reason why a start fails. */
  async #checkPorts(): Promise<void> {
    const wanted = this.instances.flatMap(({ spec }) =>
      Object.keys(spec.spec.ports).map((port) => ({ name: spec.name, port, number: hostPort(spec, port) })),
    );
    for (const { name, port, number } of wanted) {
      if (await isPortFree(number)) continue;
      throw new OrchestratorError(
        'PORT_TAKEN',
        `Port ${number}, which ${name} needs (${port}), is taken by ${describePortHolder(number)}.`,
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
        await Promise.all([startTogether(instances), hasNodes ? loadSetTopology() : undefined]);
        await this.#options.gate.admit(instances);
        if (hasNodes) await this.#publishTopology();
      },
    };
  }

  /** The addresses of the nodes are known now; whoever starts later gets them as a setting. */
  async #publishTopology(): Promise<void> {
    const { model, token } = this.#options;
    const topology = topologyOf(model, (service, port, index) => this.#reach(service, port, index));
    const { setTopology } = await loadSetTopology();
    await Promise.all(topology.nodes.map(({ address }) => setTopology(address, topology, token)));
    this.#topology = topology;
  }

  #reach(service: string, port: string, index = 0): string {
    const instance = this.#instancesOf(service)[index];
    if (!instance) throw new OrchestratorError('USAGE', `There is no ${service}-${index}.`);
    return instance.address(port);
  }

  #launch(instance: ProcessInstance): Launch {
    const { model, token, release, settings } = this.#options;
    const { spec } = instance;
    const at = {
      instance: spec.name,
      index: spec.index,
      // After its first start an instance keeps the port that it was given.
      listen: (port: string) => instance.addresses[port] ?? `127.0.0.1:${this.#firstPort(instance, port)}`,
      reach: (service: string, port: string, index?: number) =>
        service === spec.service && index === spec.index ? at.listen(port) : this.#reach(service, port, index),
      replicas: (service: string) => serviceOf(model, service).replicas,
      topology: this.#topology,
      namespaces: model.namespaces,
    };
    const own = environmentOf(spec, at, { RUN_TOKEN: token, LOG_FORMAT: 'json', WATCH_STDIN: 'true', ...settings });
    const [command, ...args] = programOf(spec.spec, release);
    return { command, args, env: { ...inheritedEnvironment(), ...own } };
  }

  #firstPort({ spec }: ProcessInstance, port: string): number {
    return this.#options.ports === 'free' ? 0 : hostPort(spec, port);
  }

  /** Callers before those whom they call, so that what is in flight can finish. */
  async stop(drainMs: number): Promise<void> {
    const nodes = this.instances.filter(({ spec }) => spec.spec.node);
    const others = this.instances.filter(({ spec }) => !spec.spec.node);
    const deadline = Date.now() + drainMs;
    await Promise.all(others.map((instance) => instance.endWithin(drainMs / 2)));
    await Promise.all(nodes.map((instance) => instance.endWithin(Math.max(0, deadline - Date.now()))));
  }
}

/** Brings gRPC with it, so it is loaded while the nodes start. */
const loadSetTopology = () => import('../../platform/set-topology.ts');

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
