import { once } from 'node:events';
import { isLoopbackAddress } from '../../../contract/ts/origin.ts';
import { createDashboard } from '../dashboard/server.ts';
import { OrchestratorError } from '../errors.ts';
import { platform as model } from '../model/platform.ts';
import type { PlatformModel } from '../model/types.ts';
import { watchInterrupts } from '../run/signals.ts';
import type { InstanceStatus, Status } from '../run/status.ts';
import { Monitor, type Target } from '../telemetry/monitor.ts';
import type { ObserveOptions } from './commands/observe.ts';
import { printJson } from './output.ts';

/** The status page alone: it looks at instances from outside and can neither start nor stop them. */
export const observe = async (options: ObserveOptions): Promise<void> => {
  const targets = parseTargets(options.observe);
  using monitor = new Monitor(() =>
    targets.map(({ name, service, url }): Target => ({ name, service, probeUrl: () => url })),
  );
  const app = createDashboard({
    status: () => observedStatus(targets, monitor),
    monitor,
    logs: undefined,
    onChange: () => () => {},
    allowedHosts: options.allowedHosts?.split(',') ?? [],
  });
  const { host, port } = parseAddress(options.listen);
  if (!isLoopbackAddress(options.listen) && options.allowUnauthenticated !== 'true') {
    throw new OrchestratorError(
      'USAGE',
      `--listen: ${options.listen} is beyond loopback and nobody is asked who they are; say --allow-unauthenticated if something else keeps strangers away.`,
    );
  }
  await app.listen({ host, port });
  const record = {
    time: new Date().toISOString(),
    level: 'info',
    msg: 'listening',
    service: 'dashboard',
    instance: 'dashboard-0',
  };
  printJson({ ...record, addresses: { http: options.listen }, pid: process.pid });
  const interrupts = watchInterrupts(() => process.exit(130));
  if (!interrupts.first.aborted) await once(interrupts.first, 'abort');
  await app.close();
};

interface Observed {
  readonly name: string;
  readonly service: string;
  readonly url: string;
}

const parseTargets = (list: string): Observed[] =>
  list.split(',').map((entry) => {
    const [name, url] = entry.split('=');
    if (!name || !url || !URL.canParse(url)) {
      throw new OrchestratorError('USAGE', `--observe: "${entry}" is not NAME=http://HOST:PORT.`);
    }
    return { name, service: name.replace(/-\d+$/, ''), url };
  });

const parseAddress = (address: string): { host: string; port: number } => {
  const [, bracketed, plain, port] = /^(?:\[(.+)\]|(.+)):(\d{1,5})$/.exec(address) ?? [];
  const host = bracketed ?? plain;
  if (!host || !port) throw new OrchestratorError('USAGE', `--listen: "${address}" is not HOST:PORT.`);
  return { host, port: Number(port) };
};

const observedStatus = (targets: readonly Observed[], monitor: Monitor): Status => ({
  name: 'compose',
  driver: 'observed from outside',
  ownerPid: undefined,
  epoch: undefined,
  statusPage: undefined,
  endpoints: {},
  remarks: [],
  instances: targets.map(({ name, service, url }): InstanceStatus => {
    const health = monitor.health(name);
    const spec = (model as PlatformModel).services[service];
    return {
      name,
      service,
      language: spec?.language ?? 'unknown',
      job: spec?.job ?? '',
      state: health.figures ? (health.ready ? 'ready' : 'unready') : 'unknown',
      failure: undefined,
      addresses: { admin: url.replace('http://', '') },
      pid: undefined,
      starts: undefined,
      readySince: undefined,
      needs: spec?.needs ?? [],
      health,
    };
  }),
});
