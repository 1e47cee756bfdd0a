import { Command } from 'commander';
import type { LogLevel } from '../../logs/record.ts';
import { logLevelOption, wholeNumber, withTarget } from '../options.ts';
import { printJson, printLine } from '../output.ts';

interface LogsOptions {
  readonly name: string;
  readonly json?: true;
  readonly follow?: true;
  readonly level: LogLevel;
  readonly text?: string;
  readonly tail: number;
}

export const logsCommand = (): Command =>
  withTarget(new Command('logs'))
    .description('log lines of all instances; with --json one record a line')
    .argument('[from...]', 'services or instances: gateway, cache-0')
    .option('-f, --follow', 'go on with new lines')
    .addOption(logLevelOption('--level <level>', 'the least level shown').default('debug'))
    .option('--text <text>', 'only records that contain this')
    .option('--tail <lines>', 'how many old records come first', wholeNumber, 200)
    .action(async (from: string[], options: LogsOptions) => {
      const { ControlClient } = await import('../../run/control-client.ts');
      const { formatRecord } = await import('../../logs/format.ts');
      const client = ControlClient.connect(options.name);
      const filter = { from, level: options.level, ...(options.text !== undefined && { text: options.text }) };
      const signal = new AbortController().signal;
      for await (const record of client.logs(filter, { follow: options.follow ?? false, tail: options.tail, signal })) {
        if (options.json) printJson(record);
        else printLine(formatRecord(record));
      }
    });
