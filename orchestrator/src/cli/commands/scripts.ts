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
}

/** Programs of the repository that are no part of the platform, under the same command. They parse their own options. */
const scripts: readonly Script[] = [
  { name: 'check', description: 'format, lint, types and drift of all languages', file: 'tools/check/check.ts' },
  { name: 'deep', description: 'fuzzing, sanitizers, generated cases, soak: test:deep', file: 'tools/deep/main.ts' },
  { name: 'generate', description: 'make the code that follows from proto/', file: 'contract/generator/main.ts' },
  { name: 'bench', description: 'measure against peers, write docs/performance.md', file: 'bench/main.ts' },
  { name: 'rename', description: 'make the template your own: rename NAME', file: 'tools/rename/rename.ts' },
  { name: 'replay', description: 'play an access trace through the gateway', file: 'orchestrator/src/replay/main.ts' },
  {
    name: 'orphans',
    description: 'end the orchestrator at random moments and count what it leaves behind',
    file: 'orchestrator/src/testing/orphans.ts',
  },
];

const scriptCommand = ({ name, description, file }: Script): Command =>
  new Command(name)
    .description(description)
    .argument('[args...]', `see \`${name} --help\``)
    .allowUnknownOption()
    .helpOption(false)
    .action(async () => {
      const path = join(root, file);
      if (!existsSync(path)) throw new OrchestratorError('USAGE', `${file} is not in this checkout.`);
      const args = process.argv.slice(process.argv.indexOf(name, 2) + 1);
      process.exitCode = await runScript(path, args);
    });

const runScript = (path: string, args: readonly string[]): Promise<number> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [path, ...args], { stdio: 'inherit', cwd: root });
    const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
    process.on('SIGINT', pass).on('SIGTERM', pass);
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 130));
  });

export const scriptCommands: readonly (() => Command)[] = scripts.map((script) => () => scriptCommand(script));
