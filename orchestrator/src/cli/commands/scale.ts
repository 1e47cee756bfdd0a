import { Command, InvalidArgumentError } from 'commander';
import { withTarget } from '../options.ts';
import { printJson, printLine } from '../output.ts';

type Wish = readonly [service: string, replicas: number];

const wish = (value: string, before: readonly Wish[] = []): readonly Wish[] => {
  const [, service, replicas] = /^([a-z][a-z0-9-]*)=(\d{1,4})$/.exec(value) ?? [];
  if (service === undefined) throw new InvalidArgumentError('It is SERVICE=NUMBER, such as cache=5.');
  return [...before, [service, Number(replicas)]];
};

export const scaleCommand = (): Command =>
  withTarget(new Command('scale'))
    .description('change how many instances of a service there are, while the platform serves')
    .argument('<service=number...>', 'gateway=4, cache=5', wish)
    .action(async (wishes: readonly Wish[], { name, json }: { name: string; json?: true }) => {
      const { ControlClient } = await import('../../run/control-client.ts');
      const client = ControlClient.connect(name);
      const reports = [];
      for (const [service, replicas] of wishes) {
        const tell = ({ ms, step }: { ms: number; step: string }): void => {
          if (!json) printLine(`${(ms / 1000).toFixed(2).padStart(7)} s  ${step}`);
        };
        const report = await client.scale(service, replicas, tell, new AbortController().signal);
        reports.push(report);
        if (json) continue;
        const moved =
          report.movedKeys === undefined
            ? ''
            : `; ${(100 * report.movedKeys).toFixed(1)} % of the keys have another owner`;
        printLine(`${service}: ${report.from} → ${report.to} in ${(report.totalMs / 1000).toFixed(1)} s${moved}`);
      }
      if (json) printJson(reports);
    });
