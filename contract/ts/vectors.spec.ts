import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFileRegistry, fromBinary, fromJson, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { describe, expect, test } from '@jest/globals';
import * as cacheService from './gen/bimetal/cache/v1/cache_service.ts';
import * as entry from './gen/bimetal/cache/v1/entry.ts';
import * as namespaceService from './gen/bimetal/cache/v1/namespace_service.ts';
import * as operations from './gen/bimetal/cache/v1/operations.ts';
import * as pipeline from './gen/bimetal/cache/v1/pipeline.ts';
import * as watch from './gen/bimetal/cache/v1/watch.ts';
import * as controlService from './gen/bimetal/control/v1/control_service.ts';
import * as edgeService from './gen/bimetal/control/v1/edge_service.ts';
import * as errors from './gen/bimetal/errors/v1/errors.ts';
import { readDescriptorSet } from './gen/identity.ts';
import { ownerOf, weightOf } from './ownership.ts';

type Codec = { decode(bytes: Uint8Array): unknown; encode(message: never): { finish(): Uint8Array } };
type Vectors = { message: string; cases: { name: string; bytes: string; json: never }[] };

const vectors = join(import.meta.dirname, '../../proto/vectors');
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readDescriptorSet()));
const codecs: Record<string, Record<string, unknown>> = {
  'bimetal.cache.v1': { ...cacheService, ...entry, ...namespaceService, ...operations, ...pipeline, ...watch },
  'bimetal.control.v1': { ...controlService, ...edgeService },
  'bimetal.errors.v1': { ...errors },
};

const isCodec = (value: unknown): value is Codec => typeof value === 'object' && value !== null && 'decode' in value;

const codecOf = (typeName: string): Codec => {
  const dot = typeName.lastIndexOf('.');
  const codec = codecs[typeName.slice(0, dot)]?.[typeName.slice(dot + 1)];
  if (!isCodec(codec)) throw new Error(`no generated code for ${typeName}`);
  return codec;
};

const files = readdirSync(join(vectors, 'messages'));
const read = (name: string): Vectors => JSON.parse(readFileSync(join(vectors, 'messages', name), 'utf8'));

describe('vectors', () => {
  test('every message of the contract has one', () => {
    const messages = [...registry.files]
      .filter((file) => file.proto.package.startsWith('bimetal.'))
      .flatMap((file) => file.messages.map((message) => `${message.typeName}.json`));
    expect(files.toSorted()).toEqual(messages.toSorted());
  });

  test.each(files)('%s: bytes → message → the same bytes', (name) => {
    const { message, cases } = read(name);
    const codec = codecOf(message);
    for (const { name, bytes } of cases) {
      const again = codec.encode(codec.decode(Buffer.from(bytes, 'base64')) as never).finish();
      expect({ name, bytes: Buffer.from(again).toString('base64') }).toEqual({ name, bytes });
    }
  });

  test.each(files)('%s: canonical JSON → the same bytes', (name) => {
    const { message, cases } = read(name);
    const desc = registry.getMessage(message);
    if (desc === undefined) throw new Error(`the descriptor set lacks ${message}`);
    for (const { name, bytes, json } of cases) {
      const again = toBinary(desc, fromJson(desc, json, { registry }));
      expect({ name, bytes: Buffer.from(again).toString('base64') }).toEqual({ name, bytes });
    }
  });
});

describe('ownership', () => {
  type Ownership = { cases: { nodes: string[]; namespace: string; key: string; owner: string; weights: string[] }[] };
  const { cases }: Ownership = JSON.parse(readFileSync(join(vectors, 'ownership/rendezvous.json'), 'utf8'));

  test('every key has the owner and the weights of the vectors', () => {
    for (const { nodes, namespace, key, owner, weights } of cases) {
      const bytes = Buffer.from(key, 'base64');
      expect(nodes.map((name) => weightOf(name, namespace, bytes).toString())).toEqual(weights);
      expect(
        ownerOf(
          nodes.map((name) => ({ name })),
          namespace,
          bytes,
        )?.name,
      ).toBe(owner);
    }
  });

  test('an added node takes keys only for itself', () => {
    const three = ['a', 'b', 'c'].map((name) => ({ name }));
    const four = [...three, { name: 'd' }];
    for (let i = 0; i < 1_000; i++) {
      const [before, after] = [ownerOf(three, 'demo', `k${i}`), ownerOf(four, 'demo', `k${i}`)];
      expect(after?.name === 'd' || after === before).toBe(true);
    }
  });
});
