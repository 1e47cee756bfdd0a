import { credentials } from '@grpc/grpc-js';
import { afterEach, expect, test } from '@jest/globals';
import { CacheServiceClient } from '../../contract/ts/gen/bimetal/cache/v1/cache_service.ts';
import {
  Operation,
  type OperationResult,
  PipelineRequest,
  type PipelineResponse,
} from '../../contract/ts/gen/bimetal/cache/v1/pipeline.ts';
import { channelOptions, fromResult } from '../../contract/ts/index.ts';
import { Duplex } from '../support/duplex.ts';
import { freshKey, useSharedStage } from '../support/platform.ts';

const stage = useSharedStage();
const node = 'cache-0';
const open: Disposable[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one[Symbol.dispose]();
});

const pipeline = (): Duplex<PipelineRequest, PipelineResponse> => {
  const client = new CacheServiceClient(
    stage().platform.instance(node).address('grpc'),
    credentials.createInsecure(),
    channelOptions,
  );
  const stream = new Duplex(client.pipeline());
  open.push(stream, { [Symbol.dispose]: () => client.close() });
  return stream;
};

const send = async (stream: ReturnType<typeof pipeline>, operations: object[]): Promise<OperationResult[]> => {
  stream.send(
    PipelineRequest.fromPartial({ operations: operations.map((operation) => Operation.fromPartial(operation)) }),
  );
  const results: OperationResult[] = [];
  while (results.length < operations.length) results.push(...(await stream.next()).results);
  expect(results.length).toBe(operations.length);
  return results;
};

/** A key that the node owns. */
const ownKey = (prefix: string): Buffer => {
  for (;;) {
    const key = freshKey(prefix);
    if (stage().cache.nodeOf('demo', key) === node) return Buffer.from(key);
  }
};

const reasonOf = ({ error }: OperationResult): string | undefined => error && fromResult(error).reason;

test('results come in the order of the operations, whose effects happen in that order', async () => {
  const stream = pipeline();
  const [key, counter] = [ownKey('order'), ownKey('counter')];
  const operations = Array.from({ length: 200 }, (_, i) => [
    { put: { namespace: 'demo', key, value: Buffer.from(String(i)) } },
    { get: { namespace: 'demo', key } },
    { increment: { namespace: 'demo', key: counter, delta: 1n } },
  ]).flat();
  const results = await send(stream, operations);
  for (let i = 0; i < 200; i++) {
    expect(results[i * 3]?.put?.created).toBe(i === 0);
    expect(results[i * 3 + 1]?.get?.entry?.value.toString()).toBe(String(i));
    expect(results[i * 3 + 2]?.increment?.value).toBe(BigInt(i + 1));
  }
});

test('the results of large values span messages and stay in order', async () => {
  const stream = pipeline();
  const keys = Array.from({ length: 20 }, () => ownKey('large'));
  for (const key of keys) {
    const [result] = await send(stream, [
      { put: { namespace: 'demo', key, value: Buffer.alloc(900_000, key.toString().slice(-1)) } },
    ]);
    expect(result?.put?.version).toBeGreaterThan(0n);
  }
  stream.send(PipelineRequest.fromPartial({ operations: keys.map((key) => ({ get: { namespace: 'demo', key } })) }));
  const results: OperationResult[] = [];
  let messages = 0;
  while (results.length < keys.length) {
    results.push(...(await stream.next()).results);
    messages += 1;
  }
  expect(messages).toBeGreaterThan(10);
  for (const [i, key] of keys.entries()) {
    expect(results[i]?.get?.entry?.value.equals(Buffer.alloc(900_000, key.toString().slice(-1)))).toBe(true);
  }
});

test('an error of one operation is its result; the stream lives on', async () => {
  const stream = pipeline();
  const key = ownKey('error');
  const results = await send(stream, [
    { put: { namespace: 'demo', key, value: Buffer.from('x') } },
    { increment: { namespace: 'demo', key, delta: 1n } },
    { get: { namespace: 'nobody', key } },
    { get: { namespace: 'demo', key: Buffer.alloc(0) } },
    {},
    { put: { namespace: 'demo', key, precondition: { absent: {} } } },
    { get: { namespace: 'demo', key } },
  ]);
  expect(results.map(reasonOf)).toEqual([
    undefined,
    'NOT_AN_INTEGER',
    'NAMESPACE_NOT_FOUND',
    'INVALID_ARGUMENT',
    'INVALID_ARGUMENT',
    'PRECONDITION_FAILED',
    undefined,
  ]);
  expect(results[5]?.error?.currentVersion).toBe(results[0]?.put?.version);
  expect(results[6]?.get?.entry?.value.toString()).toBe('x');
});

test('a batch of 1,000 operations is done, one of 1,001 ends the stream and none of it is done', async () => {
  const key = ownKey('limit');
  const operations = Array.from({ length: 1_000 }, () => ({ increment: { namespace: 'demo', key, delta: 1n } }));
  const results = await send(pipeline(), operations);
  expect(results.at(-1)?.increment?.value).toBe(1_000n);
  const stream = pipeline();
  await expect(send(stream, [...operations, operations[0] ?? {}])).rejects.toThrow(/INVALID_ARGUMENT/);
  const { entry } = await stage().cache.get({ namespace: 'demo', key });
  expect(entry?.value.toString()).toBe('1000');
});

test('many streams at once count every increment', async () => {
  const key = ownKey('streams');
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      const stream = pipeline();
      for (let batch = 0; batch < 10; batch++) {
        await send(
          stream,
          Array.from({ length: 100 }, () => ({ increment: { namespace: 'demo', key, delta: 1n } })),
        );
      }
    }),
  );
  const { entry } = await stage().cache.get({ namespace: 'demo', key });
  expect(entry?.value.toString()).toBe('8000');
});
