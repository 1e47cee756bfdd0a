import { OrchestratorError } from '../errors.ts';
import type { PlatformModel, ServiceSpec } from './types.ts';

export interface InstanceSpec {
  /** `cache-0` */
  readonly name: string;
  /** `cache` */
  readonly service: string;
  readonly index: number;
  readonly spec: ServiceSpec;
}

export const serviceOf = (model: PlatformModel, name: string): ServiceSpec => {
  const spec = model.services[name];
  if (!spec) throw new OrchestratorError('USAGE', `The model has no service ${name}.`);
  return spec;
};

export const instancesOf = (model: PlatformModel, service: string): InstanceSpec[] => {
  const spec = serviceOf(model, service);
  return Array.from({ length: spec.replicas }, (_, index) => ({ name: `${service}-${index}`, service, index, spec }));
};

/** Services in groups: those of a group need only services of earlier groups, so they may start together. */
export const startOrder = (model: PlatformModel): string[][] => {
  const waiting = new Set(Object.keys(model.services));
  const groups: string[][] = [];
  while (waiting.size > 0) {
    const group = [...waiting].filter((name) => serviceOf(model, name).needs.every((need) => !waiting.has(need)));
    if (group.length === 0) {
      throw new OrchestratorError('USAGE', `The services ${[...waiting].join(', ')} need each other in a circle.`);
    }
    for (const name of group) {
      for (const need of serviceOf(model, name).needs) serviceOf(model, need);
      waiting.delete(name);
    }
    groups.push(group);
  }
  return groups;
};

/** The instances that a driver starts, in start order. */
export const drivenInstances = (model: PlatformModel): InstanceSpec[] =>
  startOrder(model)
    .flat()
    .filter((service) => serviceOf(model, service).runs === 'instance')
    .flatMap((service) => instancesOf(model, service));
