import { styleText } from 'node:util';
import { Command } from 'commander';
import { withJson } from '../options.ts';
import { printJson, printLine, table } from '../output.ts';

export const doctorCommand = (): Command =>
  withJson(new Command('doctor'))
    .description(
      'what the platform needs of this machine, what is missing, and what helps; exit code 8 if nothing runs',
    )
    .action(async ({ json }: { json?: true }) => {
      const { examine } = await import('../../toolchain/examine.ts');
      const { failures } = await import('../../errors.ts');
      const findings = await examine();
      if (json) printJson(findings);
      else {
        const rows = findings.tools.map(({ name, ok, found, wanted }) => [
          ok ? styleText('green', '✔') : styleText('red', '✖'),
          name,
          found ?? 'missing',
          `needs ${wanted}`,
        ]);
        printLine(table(rows));
        for (const sentence of findings.advice) printLine(sentence);
        printLine(
          findings.drivers.length > 0
            ? `Drivers that work here: ${findings.drivers.join(', ')}.`
            : 'No driver works here.',
        );
      }
      if (findings.drivers.length === 0) process.exitCode = failures.TOOLCHAIN_MISSING.exitCode;
    });
