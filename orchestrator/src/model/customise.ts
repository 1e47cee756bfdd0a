import { OrchestratorError } from '../errors.ts';
import type { NamespaceSpec, PlatformModel, ServiceSpec } from './types.ts';

export interface ServiceChange {
  readonly replicas?: number;
  /** Leave the service out. */
  readonly omit?: boolean;
  /** On top of the model's settings, without the BIMETAL_ prefix: `{MEMORY_LIMIT: '16MiB'}`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Run this in place of the built program: a fake or an older build, in tests. */
  readonly command?: readonly [string, ...string[]];
}

export interface ModelChange {
  readonly services?: Readonly<Record<string, ServiceChange>>;
  readonly namespaces?: readonly NamespaceSpec[];
}

/** The model with some of it changed for one run. */
export const customise = (model: PlatformModel, change: ModelChange): PlatformModel => {
  const changes = change.services ?? {};
  for (const name of Object.keys(changes)) {
    if (!model.services[name]) throw new OrchestratorError('USAGE', `The model has no service ${name}.`);
  }
  const services = Object.entries(model.services).flatMap(([name, spec]): [string, ServiceSpec][] =>
    changes[name]?.omit ? [] : [[name, customiseService(spec, changes[name] ?? {}, changes)]],
  );
  return { namespaces: change.namespaces ?? model.namespaces, services: Object.fromEntries(services) };
};

const customiseService = (
  spec: ServiceSpec,
  change: ServiceChange,
  all: Readonly<Record<string, ServiceChange>>,
): ServiceSpec => ({
  ...spec,
  replicas: change.replicas ?? spec.replicas,
  build: change.command ? { kind: 'prebuilt', command: change.command, sources: [] } : spec.build,
  needs: spec.needs.filter((need) => !all[need]?.omit),
  settings: (at) => ({ ...spec.settings(at), ...change.settings }),
});
