import type { DriverKind } from '../drivers/driver.ts';
import { OrchestratorError } from '../errors.ts';
import type { ClientTopology, Platform } from '../platform/platform.ts';
import { requireRun } from './control-client.ts';

/** What a client needs of a platform, whoever owns it. */
export interface AttachedPlatform extends Pick<Platform, 'name' | 'clientTopology' | 'endpoint'> {
  readonly driver: DriverKind;
  instance(name: string): AttachedInstance;
}

export interface AttachedInstance {
  /** HOST:PORT of a port of the model. */
  address(port: string): string;
  url(port: string): string;
}

/**
 * A platform that runs on this machine, owned by another process. Its run file is read anew for each question: instances
 * come, go and move. Throws NOT_RUNNING, and USAGE with the known names.
 */
export const attachPlatform = (name: string): AttachedPlatform => {
  const { driver } = requireRun(name);
  return {
    name,
    driver,
    get clientTopology(): ClientTopology {
      const { topology } = requireRun(name);
      if (!topology) throw new OrchestratorError('NOT_RUNNING', `The platform "${name}" is not ready yet.`);
      return { epoch: BigInt(topology.epoch), nodes: topology.nodes };
    },
    endpoint: (route) => known('route', requireRun(name).endpoints, route),
    instance: (instance) => {
      const addresses = () => known('instance', requireRun(name).instances, instance).addresses;
      addresses();
      const address = (port: string): string => known('port', addresses(), port);
      return { address, url: (port) => `http://${address(port)}` };
    },
  };
};

const known = <Value>(what: string, all: Readonly<Record<string, Value>>, name: string): Value => {
  const found = all[name];
  if (found !== undefined) return found;
  throw new OrchestratorError('USAGE', `There is no ${what} ${name}; there are ${Object.keys(all).join(', ')}.`);
};
