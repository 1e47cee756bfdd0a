import { Command } from 'commander';
import { withJson } from '../options.ts';

export interface TestOptions {
  readonly json?: true;
  readonly driver?: 'process' | 'container';
  readonly attach?: string;
}

export const testCommand = (): Command =>
  withJson(new Command('test'))
    .description('run every test of every language, on both drivers; the last line counts them')
    .argument('[suites...]', 'only these suites of TypeScript: behaviour/ttl')
    .option('--driver <driver>', 'only the suites of this driver')
    .option('--attach <name>', 'suites that harm nobody use this running platform, not one of their own')
    .action(async (suites: string[], options: TestOptions) => {
      const { runTests } = await import('../../tests/run-tests.ts');
      await runTests(suites, options);
    });
