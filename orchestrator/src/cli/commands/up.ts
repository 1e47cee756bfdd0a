import { Command, Option } from 'commander';
import type { LogLevel } from '../../logs/record.ts';
import { logLevelOption, withTarget } from '../options.ts';

export interface UpOptions {
  readonly name: string;
  readonly json?: true;
  readonly driver?: 'process' | 'container';
  readonly ports: 'fixed' | 'free';
  readonly release?: true;
  readonly logLevel: LogLevel;
  readonly show: LogLevel;
  readonly change?: string;
  readonly keep: boolean;
  /** Watch the sources and replace what changes. */
  readonly dev?: true;
}

export const upCommand = (): Command =>
  platformCommand('up', 'build what changed, start the platform, and stay until Ctrl-C', {});

export const devCommand = (): Command =>
  platformCommand('dev', 'as `up`; a saved change is built and replaces what runs, while the platform serves', {
    dev: true,
  });

const platformCommand = (name: string, description: string, fixed: Pick<UpOptions, 'dev'>): Command =>
  withTarget(new Command(name))
    .description(description)
    .addOption(
      new Option('--driver <driver>', 'run native processes or containers; default: what this machine can')
        .choices(['process', 'container'])
        .env('BIMETAL_DRIVER'),
    )
    .addOption(
      new Option('--ports <which>', 'the ports of the model, or any').choices(['fixed', 'free']).default('fixed'),
    )
    .option('--release', 'optimised builds of the native services')
    .option(
      '--no-keep',
      'nodes start empty and keep nothing; otherwise entries stay over `down` and Ctrl-C (processes only)',
    )
    .option('--change <file>', 'JSON: what is different from the model in this run (orchestrator/README.md)')
    .addOption(logLevelOption('--log-level <level>', 'what the services log').env('BIMETAL_LOG_LEVEL').default('info'))
    .addOption(logLevelOption('--show <level>', 'the least level shown here').default('info'))
    .action(async (options: UpOptions) => {
      const { up } = await import('../up.ts');
      await up({ ...options, ...fixed });
    });
