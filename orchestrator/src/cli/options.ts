import { type Command, InvalidArgumentError, Option } from 'commander';
import { isLogLevel, type LogLevel, logLevels } from '../logs/record.ts';

/** Options that mean the same in every command. */
export const withJson = (command: Command): Command => command.option('--json', 'print one JSON value instead of text');

export const withName = (command: Command): Command =>
  command.addOption(new Option('--name <name>', 'which run').env('BIMETAL_NAME').default('default'));

export const withTarget = (command: Command): Command => withJson(withName(command));

export const logLevelOption = (flags: string, description: string): Option =>
  new Option(flags, description).choices(logLevels).argParser((value): LogLevel => {
    if (isLogLevel(value)) return value;
    throw new InvalidArgumentError(`It is one of ${logLevels.join(', ')}.`);
  });

export const wholeNumber = (value: string): number => {
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError('It takes a whole number.');
  return Number(value);
};
