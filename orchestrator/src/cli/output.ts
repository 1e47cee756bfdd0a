import { styleText } from 'node:util';
import { type OrchestratorError, toOrchestratorError } from '../errors.ts';

export const printLine = (text = ''): void => {
  process.stdout.write(`${text}\n`);
};

/** With `--json` a command prints one JSON value, and nothing else, to standard output. */
export const printJson = (value: unknown): void => printLine(JSON.stringify(value, jsonValue));

const jsonValue = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);

/** Says what went wrong, once, and returns the exit code for it. */
export const printError = (thrown: unknown, asJson: boolean): number => {
  const error = toOrchestratorError(thrown);
  if (asJson) printJson({ error: { code: error.code, message: error.message, details: error.details } });
  else process.stderr.write(errorText(error));
  return error.exitCode;
};

const errorText = ({ message, details }: OrchestratorError): string => {
  const head = `${styleText('red', '✖')} ${message}\n`;
  return details ? `${head}\n${details.replaceAll(/^/gm, '  ')}\n` : head;
};

/** Columns padded to their widest cell. */
export const table = (rows: readonly (readonly string[])[]): string => {
  const widths = rows.reduce<number[]>((all, row) => row.map((cell, i) => Math.max(all[i] ?? 0, cell.length)), []);
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
};
