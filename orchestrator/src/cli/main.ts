import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { failures } from '../errors.ts';
import { root } from '../root.ts';
import { watchBootstrap } from '../run/bootstrap-pipe.ts';
import { commands } from './commands.ts';
import { printError } from './output.ts';

// A reader that went away (`./bimetal logs | head`) is no error.
process.stdout.on('error', () => process.exit(0));
watchBootstrap();

const packageVersion = (): string => JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version;

const exitCodes = Object.entries(failures)
  .map(([code, { exitCode, meaning }]) => `  ${String(exitCode).padStart(3)}  ${code.padEnd(18)} ${meaning}`)
  .join('\n');

const program = new Command('bimetal')
  .version(packageVersion())
  .description('Boots, watches and breaks the platform. Without a running one, start with `up`.')
  .addHelpText('after', `\nExit codes:\n    0  done\n${exitCodes}`)
  .showHelpAfterError('(--help shows what there is)');
for (const create of commands) program.addCommand(create());

/** Every command hands its usage errors to us, so that they have the exit code of the table. */
const overrideExit = (command: Command): void => {
  command.exitOverride();
  for (const child of command.commands) overrideExit(child);
};
overrideExit(program);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : failures.USAGE.exitCode;
  else process.exitCode = printError(error, process.argv.includes('--json'));
}
