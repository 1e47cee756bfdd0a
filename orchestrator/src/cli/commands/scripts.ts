import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { OrchestratorError } from '../../errors.ts';
import { root } from '../../root.ts';

interface Script {
  readonly name: string;
  readonly description: string;
  readonly file: string;
  readonly argument?: string;
  /** Flags and what they do; the script reads them again. */
  readonly options?: readonly (readonly [string, string])[];
}

/** Programs of the repository that are no part of the platform, under the same command. */
const scripts: readonly Script[] = [
  { name: 'check', description: 'format, lint, types and drift of all languages', file: 'tools/check/check.ts' },
  {
    name: 'deep',
    description: 'fuzzing, sanitizers, generated cases, soak: test:deep',
    file: 'tools/deep/main.ts',
    options: [
      ['--minutes <n>', 'for each part that goes on as long as it is let (default: 3)'],
      ['--only <parts>', 'of http,go-fuzz,rust-model,rust-sanitizer,soak'],
      ['--record', 'write docs/testing-deep.md'],
    ],
  },
  {
    name: 'generate',
    description: 'make the code that follows from proto/',
    file: 'contract/generator/main.ts',
    options: [['--check', 'change nothing; fail if something would change']],
  },
  {
    name: 'bench',
    description: 'measure against peers, write docs/performance.md',
    file: 'bench/main.ts',
    options: [['--quick', 'one round of one second, to see that it works']],
  },
  {
    name: 'rename',
    description: 'make the template your own',
    file: 'tools/rename/rename.ts',
    argument: '<name>',
  },
  {
    name: 'orphans',
    description: 'end the orchestrator at random moments and count what it leaves behind',
    file: 'orchestrator/src/testing/orphans.ts',
    options: [
      ['--driver <driver>', 'process (default) or container'],
      ['--rounds <n>', 'every second one a SIGINT, the others a SIGKILL (default: 50)'],
      ['--seed <n>', 'of the moments (default: 1)'],
      ['--within <ms>', 'the latest moment after the start (default: 2500)'],
      ['--fakes', 'fakes in place of the native services: nothing is built'],
    ],
  },
];

const scriptCommand = ({ name, description, file, argument, options = [] }: Script): Command => {
  const command = new Command(name).description(description).action(() => run(name, file));
  if (argument !== undefined) command.argument(argument);
  for (const [flags, what] of options) command.option(flags, what);
  return command;
};

/** It has so many options that it parses, and explains, them itself. */
const replayCommand = (): Command =>
  new Command('replay')
    .description('play an access trace through the gateway')
    .argument('[args...]', 'see `replay --help`')
    .allowUnknownOption()
    .helpOption(false)
    .action(() => run('replay', 'orchestrator/src/replay/main.ts'));

const run = async (name: string, file: string): Promise<void> => {
  const path = join(root, file);
  if (!existsSync(path)) throw new OrchestratorError('USAGE', `${file} is not in this checkout.`);
  const args = process.argv.slice(process.argv.indexOf(name, 2) + 1);
  process.exitCode = await runScript(path, args);
};

const runScript = (path: string, args: readonly string[]): Promise<number> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [path, ...args], { stdio: 'inherit', cwd: root });
    const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
    process.on('SIGINT', pass).on('SIGTERM', pass);
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 130));
  });

export const scriptCommands: readonly (() => Command)[] = [
  ...scripts.map((script) => () => scriptCommand(script)),
  replayCommand,
];
