import type { Driver, DriverKind } from '../drivers/driver.ts';
import type { HeldBuild } from '../drivers/generation.ts';
import type { Instance } from '../drivers/instance.ts';
import { OrchestratorError } from '../errors.ts';
import type { ContractGate } from '../identity/contract-gate.ts';
import type { LogHub } from '../logs/hub.ts';
import type { PlatformModel, Topology } from '../model/types.ts';
import type { Reaper } from '../process/reaper-client.ts';
import type { OwnedRun } from '../run/run-file.ts';
import type { Report } from './steps.ts';
import type { Wiring } from './wiring.ts';

/** How long everything together may drain at the end of a run: a Ctrl-C is to be over within a second. */
export const drainLimitMs = 800;

/** Fits the `Topology` of contract/ts, whose arrays are not read-only. */
export interface ClientTopology {
  readonly epoch: bigint;
  readonly nodes: { name: string; tag: number; address: string }[];
}

export interface PlatformParts {
  readonly name: string;
  readonly driver: Driver;
  readonly hub: LogHub;
  readonly reaper: Reaper;
  readonly run: OwnedRun;
  readonly gate: ContractGate;
  readonly token: string;
  readonly runToken: string;
}

/** A platform that was started and is ours: disposing of it ends it. */
export class Platform implements AsyncDisposable {
  readonly #parts: PlatformParts;
  #stopped: Promise<void> | undefined;
  #control: string | undefined;
  #change: { readonly what: string; readonly ended: Promise<void> } | undefined;
  /** By service: its last build, when it has ended. */
  readonly #builds = new Map<string, Promise<void>>();

  constructor(parts: PlatformParts) {
    this.#parts = parts;
  }

  /** About services with an older contract that fits. */
  get remarks(): readonly string[] {
    return this.#parts.gate.remarks;
  }

  get name(): string {
    return this.#parts.name;
  }

  get driver(): DriverKind {
    return this.#parts.driver.kind;
  }

  get model(): PlatformModel {
    return this.#parts.driver.fleet.model;
  }

  /** The secret of ControlService and of namespace writes at nodes. */
  get runToken(): string {
    return this.#parts.runToken;
  }

  /** The secret of the control API. */
  get controlToken(): string {
    return this.#parts.token;
  }

  /** What the services know: on the container driver its addresses hold between containers only. */
  get topology(): Topology {
    return this.#parts.driver.wiring.topology;
  }

  /** The topology with addresses that this machine can reach, for clients here. */
  get clientTopology(): ClientTopology {
    const { epoch, nodes } = this.topology;
    return {
      epoch: BigInt(epoch),
      nodes: nodes.map((node) => ({ ...node, address: this.instance(node.name).address(this.#nodePort(node.name)) })),
    };
  }

  #nodePort(name: string): string {
    return this.instance(name).spec.spec.node?.port ?? '';
  }

  get logs(): LogHub {
    return this.#parts.hub;
  }

  /** In start order. */
  get instances(): readonly Instance[] {
    return this.#parts.driver.fleet.instances;
  }

  instance(name: string): Instance {
    const found = this.#parts.driver.fleet.find(name);
    if (found) return found;
    const known = this.instances.map((instance) => instance.name).join(', ');
    throw new OrchestratorError('USAGE', `There is no instance ${name}; there are ${known}.`);
  }

  instancesOf(service: string): Instance[] {
    return this.#parts.driver.fleet.of(service);
  }

  /** Where the control API of this run listens, for other commands to find. */
  announce(control: string): void {
    this.#control = control;
    this.describe();
  }

  /** Writes down where everything is, for other processes to find. */
  describe(): void {
    const { epoch, nodes } = this.clientTopology;
    this.#parts.run.update({
      ...(this.#control !== undefined && { control: this.#control }),
      endpoints: this.#parts.driver.wiring.endpoints,
      instances: Object.fromEntries(this.instances.map(({ name, addresses }) => [name, { addresses }])),
      topology: { epoch: String(epoch), nodes },
    });
  }

  /** HOST:PORT that leads to `gateway.http`, `cache-0.grpc`, …, whichever instances stand behind it. */
  endpoint(route: string): string {
    const endpoint = this.#parts.driver.wiring.endpoint(route);
    if (endpoint !== undefined) return endpoint;
    const known = Object.keys(this.#parts.driver.wiring.endpoints).join(', ');
    throw new OrchestratorError('USAGE', `There is no route ${route}; there are ${known}.`);
  }

  get wiring(): Wiring {
    return this.#parts.driver.wiring;
  }

  /** Throws CONTRACT_MISMATCH when a process that is to join does not fit the others. */
  admit(arriving: Pick<Instance, 'name' | 'probeUrl'>): Promise<void> {
    return this.#parts.gate.admit([arriving]);
  }

  /** In the model alone: see scale/. */
  resize(service: string, replicas: number): readonly Instance[] {
    return this.#parts.driver.fleet.resize(service, replicas);
  }

  /**
   * Builds what changed of a service; the running instances keep what they run. Builds of one service follow one another,
   * since each is taken from where the next one is put.
   */
  build(service: string, signal: AbortSignal, report: Report): Promise<HeldBuild> {
    const before = this.#builds.get(service) ?? Promise.resolve();
    const build = before.then(() => this.#parts.driver.build(service, signal, report));
    const ignore = (): void => {};
    this.#builds.set(service, build.then(ignore, ignore));
    return build;
  }

  /** Resolves when no change is under way. */
  async whenSettled(): Promise<void> {
    while (this.#change) await this.#change.ended;
  }

  /** One change of the platform at a time; afterwards other commands find the instances where they are then. */
  async changing<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
    if (this.#change !== undefined) {
      throw new OrchestratorError('USAGE', `The platform is being changed (${this.#change.what}): wait for it to end.`);
    }
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    this.#change = { what, ended };
    try {
      return await work();
    } finally {
      this.#change = undefined;
      end();
      this.#parts.driver.prune();
      this.describe();
    }
  }

  /** Calls back when the reaper is gone while we are not. */
  onReaperLost(listener: () => void): void {
    this.#parts.reaper.onLost(listener);
  }

  /** Ends everything: first by draining, then by force. A second call only waits for the first. */
  stop(drainMs = drainLimitMs): Promise<void> {
    this.#stopped ??= this.#stop(drainMs);
    return this.#stopped;
  }

  async #stop(drainMs: number): Promise<void> {
    const { driver, run, reaper } = this.#parts;
    run.update({ stopping: true });
    await driver.stop(drainMs);
    run.release();
    await reaper.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
