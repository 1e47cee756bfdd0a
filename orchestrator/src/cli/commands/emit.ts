import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Argument, Command } from 'commander';
import { OrchestratorError } from '../../errors.ts';
import { root } from '../../root.ts';
import { withJson } from '../options.ts';
import { printJson, printLine } from '../output.ts';

const file = 'docker-compose.yml';

export const emitCommand = (): Command =>
  withJson(new Command('emit'))
    .description('write what follows from the model')
    .addArgument(new Argument('<what>', `compose: ${file}`).choices(['compose']))
    .option('--check', 'write nothing; exit code 14 if the file is not what would be written')
    .action(async (_what: string, { check, json }: { check?: true; json?: true }) => {
      const { emitCompose } = await import('../../model/compose.ts');
      const { platform } = await import('../../model/platform.ts');
      const wanted = emitCompose(platform);
      const path = join(root, file);
      const current = await readFile(path, 'utf8').catch(() => undefined);
      const upToDate = current === wanted;
      if (check && !upToDate) {
        throw new OrchestratorError(
          'CHECK_FAILED',
          `${file} does not follow from the model: run \`./bimetal emit compose\`.`,
        );
      }
      if (!upToDate) await writeFile(path, wanted);
      if (json) printJson({ file, changed: !upToDate });
      else printLine(upToDate ? `${file} is up to date` : `${file} written`);
    });
