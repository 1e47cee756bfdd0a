import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { isKind, type Mix, type Size } from '../../load/options.ts';
import { stateFolder } from '../../root.ts';
import { wholeNumber, withTarget } from '../options.ts';

export interface LoadCommandOptions {
  readonly name: string;
  readonly json?: true;
  readonly url?: readonly string[];
  readonly rate: number;
  readonly seconds?: number;
  readonly steps?: readonly number[];
  readonly stepSeconds: number;
  readonly mix: Partial<Mix>;
  readonly keys: number;
  readonly namespaces: readonly string[];
  readonly zipf?: number;
  readonly size: readonly Size[];
  readonly idempotent?: true;
  readonly ownersMayChange?: true;
  readonly connections: number;
  readonly inFlight?: number;
  readonly timeout: number;
  readonly late: number;
  readonly seed: number;
  readonly out: string;
}

const positive = (value: string): number => {
  const number = wholeNumber(value);
  if (number === 0) throw new InvalidArgumentError('It is at least 1.');
  return number;
};

const decimal = (value: string): number => {
  const number = Number(value);
  if (!/^\d+(\.\d+)?$/.test(value) || number === 0)
    throw new InvalidArgumentError('It takes a number above 0, as 1.2.');
  return number;
};

const listOf =
  <Item>(parse: (text: string) => Item) =>
  (value: string): Item[] =>
    value.split(',').map(parse);

/** `read=80,write=20` */
const mix = (value: string): Partial<Mix> =>
  Object.fromEntries(
    listOf((part) => {
      const [kind = '', weight = ''] = part.split('=');
      if (!isKind(kind))
        throw new InvalidArgumentError('It is made of read, write, cas and increment, as read=80,write=20.');
      return [kind, wholeNumber(weight)];
    })(value),
  );

/** `256` or `64:70,1024:25,65536:5` */
const size = listOf((part): Size => {
  const [bytes = '', weight = '1'] = part.split(':');
  return { bytes: wholeNumber(bytes), weight: positive(weight) };
});

const gatewayUrl = (value: string): string => {
  if (!/^https?:\/\/[^/]+$/.test(value)) throw new InvalidArgumentError('It is http://HOST:PORT.');
  return value;
};

export const loadCommand = (): Command =>
  withTarget(new Command('load'))
    .description(
      'send requests at a constant rate through the gateways and judge every answer; exit code 15 if one is not right',
    )
    .addOption(new Option('--url <urls>', 'gateways that are no run of this checkout').argParser(listOf(gatewayUrl)))
    .option('--rate <n>', 'requests a second', positive, 1_000)
    .option('--seconds <n>', 'how long (default: until Ctrl-C)', decimal)
    .option('--steps <rates>', 'instead of one rate: `500,1000,2000`', listOf(positive))
    .option('--step-seconds <n>', 'how long each step takes', decimal, 10)
    .addOption(
      new Option('--mix <weights>', 'of reads, writes, compare-and-swaps and increments')
        .argParser(mix)
        .default({ read: 80, write: 16, cas: 2, increment: 2 }, 'read=80,write=16,cas=2,increment=2'),
    )
    .option('--keys <n>', 'how many keys', positive, 1_000)
    .addOption(
      new Option('--namespaces <names>', 'keys take turns in these')
        .argParser(listOf(String))
        .default(['demo'], 'demo'),
    )
    .option('--zipf <exponent>', 'skew of the keys, as 0.99 (default: all alike)', decimal)
    .addOption(
      new Option('--size <bytes>', 'of values: `256`, or with weights `64:70,1024:25,65536:5`')
        .argParser(size)
        .default([{ bytes: 256, weight: 1 }], '256'),
    )
    .option('--idempotent', 'writes carry an Idempotency-Key, and are repeated when their outcome is unknown')
    .option('--owners-may-change', 'nodes come or go meanwhile: a key that is gone has moved, and is not lost')
    .option('--connections <n>', 'to each gateway at the most', positive, 512)
    .option('--in-flight <n>', 'requests without an answer at the most (default: 2,000 or 4 × connections)', positive)
    .option('--timeout <ms>', 'a request without an answer for so long has failed', positive, 10_000)
    .option('--late <ms>', 'an answer after so long is late', positive, 1_000)
    .option('--seed <n>', 'the same seed makes the same requests', wholeNumber, 1)
    .option('--out <folder>', 'where report (JSON) and plot (SVG) go', join(stateFolder, 'load'))
    .action(async (options: LoadCommandOptions) => {
      const { runLoad } = await import('../../load/run.ts');
      await runLoad(options);
    });
