// proto/vectors/refused.json, sent to a node: each has its reason and its field, and nothing is changed.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  createFileRegistry,
  fromBinary,
  fromJson,
  type JsonObject,
  type JsonValue,
  toBinary,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { credentials, makeGenericClientConstructor, type ServiceError } from '@grpc/grpc-js';
import { expect, test } from '@jest/globals';
import { CacheServiceService } from '../../contract/ts/gen/bimetal/cache/v1/cache_service.ts';
import { BimetalError, channelOptions, fromServiceError, readDescriptorSet } from '../../contract/ts/index.ts';
import { useSharedStage } from '../support/platform.ts';

type Refused = { name: string; rpc: string; request: JsonObject; reason: string; field?: string };

const stage = useSharedStage();
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readDescriptorSet()));
const { cases }: { cases: Refused[] } = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../proto/vectors/refused.json'), 'utf8'),
);

const isRecipe = (value: JsonValue): value is { repeat: string; times: number } =>
  typeof value === 'object' && value !== null && 'repeat' in value;

/** Recipes become text; in bytes fields (here: all but namespace and contentType) base64 of it. */
const expand = (request: JsonObject): JsonObject =>
  Object.fromEntries(
    Object.entries(request).map(([name, value]) => {
      if (!isRecipe(value)) return [name, value];
      const text = value.repeat.repeat(value.times);
      return [name, ['namespace', 'contentType'].includes(name) ? text : Buffer.from(text).toString('base64')];
    }),
  );

/** Sends bytes, so that what a typed client could not make is sent all the same. */
const call = (rpc: string, request: Uint8Array, key: Uint8Array): Promise<unknown> => {
  const path = `/bimetal.cache.v1.CacheService/${rpc}`;
  const definition = {
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: (bytes: Uint8Array) => Buffer.from(bytes),
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (bytes: Uint8Array) => Buffer.from(bytes),
    responseDeserialize: (bytes: Buffer) => bytes,
  };
  const Client = makeGenericClientConstructor({ call: definition }, 'raw');
  // A node that does not own the key would answer WRONG_NODE.
  const owner = stage().cache.nodeOf('default', key) ?? 'cache-0';
  const client = new Client(
    stage().platform.instance(owner).address('grpc'),
    credentials.createInsecure(),
    channelOptions,
  );
  return new Promise((resolve, reject) => {
    const method = client['call']?.bind(client) as (
      bytes: Uint8Array,
      done: (error: ServiceError | null, answer: unknown) => void,
    ) => void;
    method(request, (error, answer) => {
      client.close();
      if (error) reject(fromServiceError(error, true));
      else resolve(answer);
    });
  });
};

test('every RPC of the cases exists', () => {
  const known = Object.values(CacheServiceService).map(({ path }) => path.split('/').at(-1));
  for (const { rpc } of cases) expect(known).toContain(rpc);
});

test.each(cases)('$rpc of $name is $reason', async ({ rpc, request, reason, field }) => {
  const desc = registry.getMessage(`bimetal.cache.v1.${rpc}Request`);
  if (desc === undefined) throw new Error(`no request message for ${rpc}`);
  const expanded = expand(request);
  const bytes = toBinary(desc, fromJson(desc, expanded, { registry }));
  const key = Buffer.from(typeof expanded['key'] === 'string' ? expanded['key'] : '', 'base64');
  const error = await call(rpc, bytes, key).then(
    (): unknown => {
      throw new Error('it was not refused');
    },
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(BimetalError);
  const { reason: got, message, details } = error as BimetalError;
  expect({ got, message }).toEqual({ got: reason, message: expect.stringMatching(/.{10,}/) });
  if (field !== undefined) expect(details.violations?.map((violation) => violation.field)).toContain(field);
});
