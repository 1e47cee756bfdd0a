import { type InstanceSpec, instancesOf } from './instances.ts';
import type { PlatformModel, PortSpec, ServiceSpec } from './types.ts';

/** A fixed port and the instances that it leads to. */
export interface RouteSpec {
  /** `gateway.http`: all replicas. `cache-0.grpc`: that node. */
  readonly name: string;
  readonly service: string;
  readonly port: string;
  readonly fixedPort: number;
  readonly instances: readonly InstanceSpec[];
}

export const portOf = (spec: ServiceSpec, port: string): PortSpec => {
  const found = spec.ports[port];
  if (!found) throw new Error(`no port ${port} in the model`);
  return found;
};

export const fixedPortOf = ({ spec, index }: Pick<InstanceSpec, 'spec' | 'index'>, port: string): number => {
  const { first, step } = portOf(spec, port);
  return first + index * step;
};

export const routeName = ({ name, service, spec }: InstanceSpec, port: string): string =>
  `${spec.node ? name : service}.${port}`;

/** The edge and what the orchestrator runs itself have their fixed ports to themselves. */
export const isBehindEdge = (spec: ServiceSpec): boolean => spec.runs === 'instance' && !spec.edge;

/** Without one, instances are reached at their own addresses, and nothing stands at the fixed ports. */
export const hasEdge = (model: PlatformModel): boolean => Object.values(model.services).some(({ edge }) => edge);

/** What the edge is to forward, one route for each fixed port. */
export const routesOf = (model: PlatformModel): RouteSpec[] =>
  Object.entries(model.services).flatMap(([service, spec]) => {
    if (!isBehindEdge(spec)) return [];
    const instances = instancesOf(model, service);
    const groups = spec.node ? instances.map((instance) => [instance]) : [instances];
    return groups.flatMap((group) =>
      Object.keys(spec.ports).flatMap((port) => {
        const [first] = group;
        if (!first) return [];
        const fixedPort = fixedPortOf({ spec, index: spec.node ? first.index : 0 }, port);
        return [{ name: routeName(first, port), service, port, fixedPort, instances: group }];
      }),
    );
  });
