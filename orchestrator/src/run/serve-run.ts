import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { createDashboard } from '../dashboard/server.ts';
import { OrchestratorError, systemCodeOf } from '../errors.ts';
import type { Platform } from '../platform/platform.ts';
import { describePortHolder } from '../process/port-holder.ts';
import { Monitor } from '../telemetry/monitor.ts';
import { type ControlOptions, createControlApi } from './control-api.ts';
import { type Status, statusOf } from './status.ts';

export interface ServedRun {
  readonly status: () => Status;
  readonly statusPage: string;
  readonly close: () => Promise<void>;
}

export interface ServeOptions {
  /** 0: any. */
  readonly statusPort: number;
  /** Another command asks to end the run. */
  readonly onStop: ControlOptions['onStop'];
}

/** What an owner offers while its platform runs: the control API for other commands, the status page for people. */
export const serveRun = async (platform: Platform, { statusPort, onStop }: ServeOptions): Promise<ServedRun> => {
  const monitor = new Monitor(() =>
    platform.instances.map((instance) => ({
      name: instance.name,
      service: instance.service,
      probeUrl: () => (instance.isUp ? instance.probeUrl : undefined),
      onReady: (ready) => instance.observe(ready),
    })),
  );
  let statusPage = '';
  const status = (): Status => statusOf(platform, monitor, statusPage);
  const control = createControlApi({ platform, status, onStop });
  const dashboard = createDashboard({
    status,
    monitor,
    logs: platform.logs,
    onChange: (tell) => watchInstances(platform, tell),
  });
  const close = async (): Promise<void> => {
    monitor[Symbol.dispose]();
    await Promise.all([control.close(), dashboard.close()]);
  };
  try {
    statusPage = await listen(dashboard, statusPort);
    platform.announce(await listen(control, 0));
  } catch (error) {
    await close();
    throw error;
  }
  return { status, statusPage, close };
};

const watchInstances = (platform: Platform, tell: () => void): (() => void) => {
  const offs = platform.instances.map((instance) => instance.onChange(tell));
  return () => {
    for (const off of offs) off();
  };
};

const listen = async (app: FastifyInstance, port: number): Promise<string> => {
  try {
    await app.listen({ host: '127.0.0.1', port });
  } catch (error) {
    if (systemCodeOf(error) !== 'EADDRINUSE') throw error;
    throw new OrchestratorError(
      'PORT_TAKEN',
      `Port ${port}, which the status page needs, is taken by ${describePortHolder(port)}.`,
    );
  }
  return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
};
