import type { InstanceState } from '../drivers/instance.ts';
import type { Platform } from '../platform/platform.ts';
import type { Health, Monitor } from '../telemetry/monitor.ts';

export interface InstanceStatus {
  readonly name: string;
  readonly service: string;
  readonly language: string;
  readonly job: string;
  readonly state: InstanceState | 'unknown';
  readonly failure: string | undefined;
  readonly addresses: Readonly<Record<string, string>>;
  readonly pid: number | undefined;
  readonly starts: number | undefined;
  /** Unix milliseconds. */
  readonly readySince: number | undefined;
  readonly needs: readonly string[];
  readonly health: Health;
}

export interface Status {
  readonly name: string;
  readonly driver: string;
  readonly ownerPid: number | undefined;
  readonly epoch: string | undefined;
  readonly statusPage: string | undefined;
  /** HOST:PORT by route: what stays while instances come and go. */
  readonly endpoints: Readonly<Record<string, string>>;
  readonly remarks: readonly string[];
  readonly instances: readonly InstanceStatus[];
}

export const statusOf = (platform: Platform, monitor: Monitor, statusPage: string | undefined): Status => ({
  name: platform.name,
  driver: platform.driver,
  ownerPid: process.pid,
  epoch: platform.topology.epoch,
  statusPage,
  endpoints: platform.wiring.endpoints,
  remarks: platform.remarks,
  instances: platform.instances.map((instance) => ({
    name: instance.name,
    service: instance.service,
    language: instance.spec.spec.language,
    job: instance.spec.spec.job,
    state: instance.state,
    failure: instance.failure,
    addresses: instance.addresses,
    pid: instance.pid,
    starts: instance.starts,
    readySince: instance.readySince,
    needs: instance.spec.spec.needs,
    health: monitor.health(instance.name),
  })),
});
