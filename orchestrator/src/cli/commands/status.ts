import { styleText } from 'node:util';
import { Command } from 'commander';
import type { InstanceStatus, Status } from '../../run/status.ts';
import { withTarget } from '../options.ts';
import { printJson, printLine, table } from '../output.ts';

export const statusCommand = (): Command =>
  withTarget(new Command('status'))
    .description('what runs, where, and how it is; exit code 5 if something is not ready')
    .action(async ({ name, json }: { name: string; json?: true }) => {
      const { ControlClient } = await import('../../run/control-client.ts');
      const status = await ControlClient.connect(name).status();
      if (json) printJson(status);
      else printLine(describe(status));
      const { failures } = await import('../../errors.ts');
      if (status.instances.some(({ state }) => state !== 'ready')) process.exitCode = failures.UNHEALTHY.exitCode;
    });

const describe = (status: Status): string => {
  const rows = status.instances.map((instance) => [
    instance.name,
    instance.state,
    String(instance.pid ?? '–'),
    uptime(instance),
    rate(instance),
    pairs(instance.addresses),
  ]);
  const head = ['INSTANCE', 'STATE', 'PID', 'UP', 'REQ/S', 'ADDRESSES'];
  const notes = [
    ...status.instances.flatMap(({ name, failure }) => (failure ? [styleText('red', `${name}: ${failure}`)] : [])),
    ...status.remarks,
  ];
  return [
    `Platform "${status.name}", driver ${status.driver}, owner pid ${status.ownerPid}, status page ${status.statusPage}`,
    table([head, ...rows]),
    `Through the edge: ${pairs(status.endpoints)}`,
    ...notes,
  ].join('\n');
};

const pairs = (addresses: Readonly<Record<string, string>>): string =>
  Object.entries(addresses)
    .map(([name, address]) => `${name} ${address}`)
    .join('  ');

const uptime = ({ readySince }: InstanceStatus): string =>
  readySince === undefined ? '–' : `${Math.round((Date.now() - readySince) / 1000)} s`;

const rate = ({ health }: InstanceStatus): string => health.rates?.requestsPerSecond.toFixed(0) ?? '–';
