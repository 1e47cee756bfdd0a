import type { InstanceSpec } from './instances.ts';
import type { Surroundings } from './types.ts';

/** A service binds loopback only, unless it is told that somebody else guards its ports. */
const isLoopback = (address: string): boolean => /^(127\.|localhost:|\[::1\])/.test(address);

/** The environment of an instance: what its service needs, and what every service needs. */
export const environmentOf = (
  { name, spec }: InstanceSpec,
  at: Surroundings,
  extra: Readonly<Record<string, string | undefined>> = {},
): Record<string, string> => {
  const beyondLoopback = Object.keys(spec.ports).some((port) => !isLoopback(at.listen(port)));
  const all = {
    INSTANCE: name,
    ...spec.settings(at),
    ALLOW_UNAUTHENTICATED: beyondLoopback ? 'true' : undefined,
    ...extra,
  };
  return Object.fromEntries(
    Object.entries(all).flatMap(([key, value]) => (value === undefined ? [] : [[`BIMETAL_${key}`, value]])),
  );
};
