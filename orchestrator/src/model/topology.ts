import { type InstanceSpec, instancesOf } from './instances.ts';
import type { PlatformModel, Topology } from './types.ts';

/** The nodes of the model, with the address that `reach` knows for each. Tags start at 1 and belong to a name for good. */
export const topologyOf = (
  model: PlatformModel,
  reach: (node: InstanceSpec, port: string) => string,
  epoch = 1n,
): Topology => ({
  epoch: String(epoch),
  nodes: Object.entries(model.services).flatMap(([service, spec]) => {
    const { node } = spec;
    if (!node) return [];
    return instancesOf(model, service).map((instance) => ({
      name: instance.name,
      tag: instance.index + 1,
      address: reach(instance, node.port),
    }));
  }),
});
