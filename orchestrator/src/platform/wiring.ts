import type { Fleet } from '../drivers/fleet.ts';
import type { Instance } from '../drivers/instance.ts';
import { messageOf, OrchestratorError } from '../errors.ts';
import type { LogHub } from '../logs/hub.ts';
import { hasEdge, type RouteSpec, routesOf } from '../model/routes.ts';
import { topologyOf } from '../model/topology.ts';
import type { Topology } from '../model/types.ts';

/** Brings gRPC with it, so it is loaded while the first instances start. */
export const loadControlCalls = () => import('./control-calls.ts');

export interface WiringParts {
  readonly fleet: Fleet<Instance>;
  /** What the edge binds for a fixed port. */
  readonly edgeListen: (fixedPort: number) => string;
  /** How this machine reaches what the edge has bound, where that is not the same. */
  readonly reachEdge?: (route: string) => string | undefined;
  readonly token: string;
  readonly hub: LogHub;
}

/** Who finds whom: the topology, which gateways and nodes are told, and the routes of the edge. Their only writer. */
export class Wiring {
  readonly #parts: WiringParts;
  #topology: Topology | undefined;
  #bound: ReadonlyMap<string, string> = new Map();

  constructor(parts: WiringParts) {
    this.#parts = parts;
  }

  get topology(): Topology {
    if (this.#topology) return this.#topology;
    throw new OrchestratorError('UNHEALTHY', 'The nodes have not started: there is no topology yet.');
  }

  get topologyIfKnown(): Topology | undefined {
    return this.#topology;
  }

  /** The nodes of the model with their instances' addresses and the next epoch; `moved` are at other ones. */
  nextTopology(moved: ReadonlyMap<string, string> = new Map()): Topology {
    const epoch = BigInt(this.#topology?.epoch ?? 0) + 1n;
    return topologyOf(
      this.#parts.fleet.model,
      ({ name }, port) => {
        const address = moved.get(name) ?? this.#parts.fleet.find(name)?.innerAddresses[port];
        if (address === undefined) throw new OrchestratorError('UNHEALTHY', `${name} has no address yet.`);
        return address;
      },
      epoch,
    );
  }

  /** What the compose file has given everybody at start. */
  assume(topology: Topology): void {
    this.#topology = topology;
  }

  /**
   * Tells the nodes, group after group, then the gateways, and answers how many entries the nodes erased. Nodes that
   * are down are passed over: they are given the topology when they start. Throws when a node that is up cannot be told.
   */
  async publishTopology(topology: Topology, nodes: readonly (readonly Instance[])[] = [this.#nodes]): Promise<bigint> {
    const { connectTo } = await loadControlCalls();
    const { token, hub, fleet } = this.#parts;
    const gateways = fleet.of('gateway');
    // Between the first one told and the last, keys that change owner are served by nobody: so all are connected first.
    const told = [...nodes.flat(), ...gateways].filter(({ isUp }) => isUp);
    const listeners = new Map(
      await Promise.all(
        told.map(async (instance) => [instance, await connectTo(controlAddress(instance), { token })] as const),
      ),
    );
    this.#topology = topology;
    let erased = 0n;
    try {
      for (const group of nodes) {
        const answers = await Promise.all(group.map((node) => listeners.get(node)?.tell(topology)));
        for (const answer of answers) erased += answer?.erasedEntries ?? 0n;
      }
      await Promise.all(
        gateways.map(async (gateway) => {
          try {
            await listeners.get(gateway)?.tell(topology);
          } catch (error) {
            // It asks a node as soon as one refuses a key that it sent to the wrong place.
            hub.say('warn', `${gateway.name} was not told of epoch ${topology.epoch}: ${messageOf(error)}`);
          }
        }),
      );
    } finally {
      for (const { close } of listeners.values()) close();
    }
    return erased;
  }

  get #nodes(): Instance[] {
    return this.#parts.fleet.instances.filter(({ spec }) => spec.spec.node);
  }

  get #edge(): Instance | undefined {
    return this.#parts.fleet.instances.find(({ spec }) => spec.spec.edge);
  }

  /** Leads every fixed port to the instances behind it. */
  async publishRoutes(): Promise<void> {
    const edge = this.#edge;
    if (!edge?.isUp) return;
    const { setRoutes } = await loadControlCalls();
    const routes = routesOf(this.#parts.fleet.model).map((route) => ({
      name: route.name,
      listen: this.#parts.edgeListen(route.fixedPort),
      targets: this.#targetsOf(route),
    }));
    this.#bound = await setRoutes(edge.address('admin'), routes, { token: this.#parts.token });
  }

  #targetsOf({ port, instances }: RouteSpec): string[] {
    return instances.flatMap(({ name }) => this.#parts.fleet.find(name)?.innerAddresses[port] ?? []);
  }

  /** HOST:PORT for callers on this machine: the edge's; without an edge, the first instance's own. */
  endpoint(route: string): string | undefined {
    const { fleet, reachEdge } = this.#parts;
    if (hasEdge(fleet.model)) return reachEdge ? reachEdge(route) : this.#bound.get(route);
    const spec = routesOf(fleet.model).find(({ name }) => name === route);
    const [first] = spec?.instances ?? [];
    return first && spec && fleet.find(first.name)?.addresses[spec.port];
  }

  /** All of them by name. */
  get endpoints(): Readonly<Record<string, string>> {
    const known = routesOf(this.#parts.fleet.model).map(({ name }) => [name, this.endpoint(name)] as const);
    return Object.fromEntries(known.filter((entry): entry is [string, string] => entry[1] !== undefined));
  }
}

/** ControlService of a gateway is on its admin port, that of a node on its gRPC port. */
export const controlAddress = ({ spec, addresses }: Pick<Instance, 'spec' | 'addresses'>): string =>
  addresses[spec.spec.node?.port ?? spec.spec.probe] ?? '';
