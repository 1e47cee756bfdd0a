import { Command } from 'commander';
import { wholeNumber, withTarget } from '../options.ts';

export interface CallOptions {
  readonly name: string;
  readonly json?: true;
  readonly list?: true;
  readonly on?: string;
  readonly timeout: number;
}

export const callCommand = (): Command =>
  withTarget(new Command('call'))
    .description('call a gRPC method of an instance, which is asked for its services by reflection')
    .argument('[method]', 'CacheService/Get, or bimetal.cache.v1.CacheService/Get')
    .argument('[json]', 'the request as ProtoJSON (bytes are base64); an array is a stream of requests')
    .option('--on <instance>', 'which instance; default: the first cache node')
    .option('--list', 'list services and methods instead')
    .option('--timeout <ms>', 'deadline', wholeNumber, 5000)
    .addHelpText(
      'after',
      `\nExample (the key is "hello"):\n  ./bimetal call CacheService/Get '{"namespace":"demo","key":"aGVsbG8="}'`,
    )
    .action(async (method: string | undefined, json: string | undefined, options: CallOptions) => {
      const { call } = await import('../call.ts');
      await call(method, json, options);
    });
