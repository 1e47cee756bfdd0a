import { Command, InvalidArgumentError } from 'commander';
import { withTarget } from '../options.ts';
import type { RolloutCommandOptions } from '../rollout.ts';

const setting = (value: string, before: Record<string, string> = {}): Record<string, string> => {
  const [, name, text] = /^([A-Z0-9_]+)=(.*)$/s.exec(value) ?? [];
  if (name === undefined || text === undefined) throw new InvalidArgumentError('It is NAME=VALUE.');
  return { ...before, [name]: text };
};

const positive = (value: string): number => {
  const number = Number(value);
  if (!(number >= 0)) throw new InvalidArgumentError('It is a number, 0 or greater.');
  return number;
};

export const rolloutCommand = (): Command =>
  withTarget(new Command('rollout'))
    .description('replace the instances of a service by a new build or new settings, start first, while it serves')
    .argument('<target>', 'a service, or one instance: gateway, cache-1')
    .option('--no-build', 'keep what the instances run; for new settings alone')
    .option('--set <NAME=VALUE>', 'a setting, without the BIMETAL_ prefix; may be given again', setting)
    .option('--max-error-ratio <share>', 'failed requests, of all, above which it is rolled back', positive)
    .option('--max-p99 <ms>', 'latency above which it is rolled back', positive)
    .option('--watch <ms>', 'how long callers are watched on each new instance', positive)
    .action(async (target: string, options: RolloutCommandOptions) => {
      const { rollout } = await import('../rollout.ts');
      await rollout(target, options);
    });
