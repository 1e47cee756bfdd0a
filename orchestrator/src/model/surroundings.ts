import { type InstanceSpec, instancesOf } from './instances.ts';
import { hasEdge, isBehindEdge, routeName, routesOf } from './routes.ts';
import type { PlatformModel, Surroundings, Topology } from './types.ts';

/** How the instances of one driver are reached. HOST:PORT each; undefined: not known yet. */
export interface Addressing {
  /** What an instance binds. */
  readonly listen: (instance: InstanceSpec, port: string) => string;
  /** Where it takes connections that the edge passes on; absent: the edge relays. */
  readonly passedListen?: (instance: InstanceSpec, port: string) => string | undefined;
  /** An instance, for the other instances. */
  readonly direct: (instance: InstanceSpec, port: string) => string | undefined;
  readonly edgeHost?: string;
  /** What the edge binds for a route. */
  readonly edgeListen: (fixedPort: number) => string;
  /** A route of the edge, for the instances. */
  readonly fixed: (route: string, fixedPort: number) => string | undefined;
}

export const surroundingsOf = (
  model: PlatformModel,
  instance: InstanceSpec,
  addressing: Addressing,
  topology: Topology | undefined,
): Surroundings => {
  const routes = hasEdge(model) ? routesOf(model) : [];
  const fixed = (peer: InstanceSpec, port: string): string | undefined => {
    const route = isBehindEdge(peer.spec) ? routes.find(({ name }) => name === routeName(peer, port)) : undefined;
    return (route && addressing.fixed(route.name, route.fixedPort)) ?? addressing.direct(peer, port);
  };
  const reach = (service: string, port: string, index = 0): string => {
    const peer = instancesOf(model, service)[index];
    const address = peer && fixed(peer, port);
    if (address === undefined) throw new Error(`${instance.name} asks for ${service}-${index}, which has no address`);
    return address;
  };
  /** Of a node. A topology may still have one that the model has no more, or not yet one that it has. */
  const fixedAddressOf = (name: string): string | undefined => {
    const peer = Object.keys(model.services)
      .flatMap((service) => instancesOf(model, service))
      .find((other) => other.name === name);
    return peer?.spec.node && fixed(peer, peer.spec.node.port);
  };
  return {
    instance: instance.name,
    index: instance.index,
    listen: (port) => addressing.listen(instance, port),
    passedListen: (port) => addressing.passedListen?.(instance, port),
    reach,
    edgeHost: addressing.edgeHost,
    direct: (service, port) =>
      instancesOf(model, service).map((peer) => ({ name: peer.name, address: addressing.direct(peer, port) ?? '' })),
    topology,
    fixedTopology: topology && {
      ...topology,
      nodes: topology.nodes.map((node) => ({ ...node, address: fixedAddressOf(node.name) ?? node.address })),
    },
    routes: routes.map(({ name, fixedPort, port, instances }) => ({
      name,
      listen: addressing.edgeListen(fixedPort),
      targets: instances.flatMap((target) => addressing.direct(target, port) ?? []),
    })),
    namespaces: model.namespaces,
  };
};
