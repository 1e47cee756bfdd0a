// `./bimetal replay FILE`: against the running platform.
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { wholeNumber, withTarget } from '../cli/options.ts';
import { printError, printJson, printLine } from '../cli/output.ts';
import { failures, OrchestratorError } from '../errors.ts';
import { stateFolder } from '../root.ts';
import { requireRun } from '../run/control-client.ts';
import type { Run } from '../run/run-file.ts';
import { plotOf } from './plot.ts';
import { replay } from './replay.ts';
import { reportOf, tableOf } from './report.ts';
import type { ReplayTarget } from './room.ts';

type Options = {
  readonly name: string;
  readonly json?: true;
  readonly entries: number;
  readonly valueBytes: number;
  readonly rate?: number;
  readonly connections: number;
  readonly limit?: number;
  readonly out: string;
};

const positive = (value: string): number => {
  const number = wholeNumber(value);
  if (number === 0) throw new InvalidArgumentError('It is at least 1.');
  return number;
};

const valueSize = (value: string): number => {
  const number = wholeNumber(value);
  if (number < 40 || number > 1_048_576) throw new InvalidArgumentError('It is 40 to 1,048,576.');
  return number;
};

const targetOf = ({ endpoints, instances, runToken, name }: Run): ReplayTarget => {
  const gateway = endpoints['gateway.http'];
  const nodes = Object.entries(instances).flatMap(([name, { addresses }]) =>
    name.startsWith('cache-') && addresses['grpc'] !== undefined ? [{ name, grpcAddress: addresses['grpc'] }] : [],
  );
  if (gateway === undefined || nodes.length === 0) {
    throw new OrchestratorError('NOT_RUNNING', `The platform "${name}" has no gateway or no nodes yet.`);
  }
  return { gatewayUrl: `http://${gateway}`, nodes, token: runToken };
};

const run = async (file: string, options: Options): Promise<void> => {
  const target = targetOf(requireRun(options.name));
  const interrupted = new AbortController();
  process.once('SIGINT', () => interrupted.abort());
  const started = Date.now();
  const result = await replay(target, {
    file,
    entries: options.entries,
    valueBytes: options.valueBytes,
    rate: options.rate,
    connections: options.connections,
    limit: options.limit,
    signal: interrupted.signal,
    onProgress: ({ references, hits, misses, errors }) => {
      const ratio = hits + misses === 0 ? 0 : (100 * hits) / (hits + misses);
      const seconds = Math.round((Date.now() - started) / 1_000);
      const line = `${seconds} s: ${references.toLocaleString('en-US')} references, hit ratio ${ratio.toFixed(2)} %, ${errors} errors`;
      process.stderr.write(process.stderr.isTTY ? `\r${line}\u001b[K` : seconds % 10 === 0 ? `${line}\n` : '');
    },
  });
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  const report = reportOf(result);
  mkdirSync(options.out, { recursive: true });
  const base = join(options.out, basename(file).replace(/\.lis(\.zst)?$/, ''));
  writeFileSync(`${base}.json`, `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(`${base}.svg`, await plotOf(report));
  if (options.json) printJson(report);
  else printLine(`${tableOf(report)}\nreport    ${base}.json, ${base}.svg`);
  if (Object.keys(report.errors).length > 0) process.exitCode = failures.REQUEST_FAILED.exitCode;
};

const program = withTarget(new Command('replay'))
  .description('plays an access trace through the gateway as a cache-aside client (format: traces/README.md)')
  .argument('<file>', 'a trace: .lis or .lis.zst')
  .option('--entries <n>', 'room for so many entries, over all nodes', positive, 20_000)
  .option('--value-bytes <n>', 'size of each value, 40 to 1,048,576', valueSize, 256)
  .addOption(new Option('--rate <n>', 'references a second (default: as fast as it can)').argParser(positive))
  .option('--connections <n>', 'requests in flight at the most', positive, 64)
  .addOption(new Option('--limit <n>', 'stop after so many references (default: play all)').argParser(positive))
  .option('--out <folder>', 'where report and plot go', join(stateFolder, 'replay'))
  .action(run);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = printError(error, process.argv.includes('--json'));
}
