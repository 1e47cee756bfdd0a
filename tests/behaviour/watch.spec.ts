import { expect, test } from '@jest/globals';
import { type Event, EventKind, Subscribe } from '../../contract/ts/gen/bimetal/cache/v1/watch.ts';
import { freshKey, useSharedStage } from '../support/platform.ts';
import { openWatch, subscribed, type Watch, watchNode } from '../support/watching.ts';

const stage = useSharedStage();
const address = (node: string): string => stage().platform.instance(node).address('grpc');
const watch = (node: string, subscribe: Partial<Subscribe>): Watch => watchNode(address(node), subscribe);

/** The next `count` events, and the position behind them. */
const take = async (stream: Watch, count: number): Promise<{ events: Event[]; position: Buffer }> => {
  const events: Event[] = [];
  let position: Buffer = Buffer.alloc(0);
  while (events.length < count) {
    const message = await stream.next((m) => m.events !== undefined || m.reset !== undefined);
    if (message.reset !== undefined) throw new Error(`reset: ${message.reset.message}`);
    events.push(...(message.events?.events ?? []));
    position = message.events?.position ?? position;
  }
  return { events, position };
};

/** Keys with a common prefix that one node owns. */
const keysOf = (node: string, prefix: string, count: number): string[] =>
  Array.from({ length: 1_000 }, (_, i) => `${prefix}-${i}`)
    .filter((key) => stage().cache.nodeOf('demo', key) === node)
    .slice(0, count);

test('what happens to a key is told in order, with the versions that were answered', async () => {
  const { cache } = stage();
  const [name = ''] = keysOf('cache-0', freshKey('order'), 1);
  const key = Buffer.from(name);
  const stream = watch('cache-0', { namespace: 'demo', prefix: key, includeValues: true });
  await stream.next(subscribed);
  const first = await cache.put({ namespace: 'demo', key, value: Buffer.from('1'), contentType: 'text/plain' });
  const second = await cache.put({ namespace: 'demo', key, value: Buffer.from('22') });
  const touched = await cache.touch({ namespace: 'demo', key, ttl: { relative: { seconds: 60n, nanos: 0 } } as never });
  const deleted = await cache.delete({ namespace: 'demo', key });
  const { events } = await take(stream, 4);
  expect(events.map(({ kind, version }) => ({ kind, version }))).toEqual([
    { kind: EventKind.PUT, version: first.version },
    { kind: EventKind.PUT, version: second.version },
    { kind: EventKind.TOUCHED, version: second.version },
    { kind: EventKind.DELETED, version: deleted.version },
  ]);
  expect(events[2]?.expiryVersion).toBe(touched.expiryVersion);
  expect(events.every((event) => event.key.equals(key) && event.namespace === 'demo')).toBe(true);
});

test('a put that is still the live one is told with its type, size and value', async () => {
  const { cache } = stage();
  const [name = ''] = keysOf('cache-0', freshKey('value'), 1);
  const key = Buffer.from(name);
  const stream = watch('cache-0', { namespace: 'demo', prefix: key, includeValues: true });
  await stream.next(subscribed);
  await cache.put({ namespace: 'demo', key, value: Buffer.from('{}'), contentType: 'application/json' });
  const { events } = await take(stream, 1);
  expect(events[0]).toMatchObject({ contentType: 'application/json', size: 2n, value: Buffer.from('{}') });
});

test('an expiry is told without anybody asking for the key', async () => {
  const { cache } = stage();
  const [name = ''] = keysOf('cache-0', freshKey('expiry'), 1);
  const key = Buffer.from(name);
  const stream = watch('cache-0', { namespace: 'demo', prefix: key });
  await stream.next(subscribed);
  await cache.put({
    namespace: 'demo',
    key,
    value: Buffer.from('x'),
    ttl: { relative: { seconds: 0n, nanos: 100_000_000 } } as never,
  });
  const { events } = await take(stream, 2);
  expect(events.map(({ kind }) => kind)).toEqual([EventKind.PUT, EventKind.EXPIRED]);
});

test('only the namespace and prefix that were asked for are told', async () => {
  const { cache } = stage();
  const prefix = freshKey('mine');
  const [mine = ''] = keysOf('cache-0', prefix, 1);
  const stream = watch('cache-0', { namespace: 'demo', prefix: Buffer.from(prefix) });
  await stream.next(subscribed);
  for (const key of keysOf('cache-0', freshKey('other'), 3))
    await cache.put({ namespace: 'demo', key: Buffer.from(key) });
  for (const namespace of ['default', 'demo']) {
    const key = Buffer.from(mine);
    if (cache.nodeOf(namespace, key) === 'cache-0') await cache.put({ namespace, key });
  }
  const { events } = await take(stream, 1);
  expect(events.map(({ namespace, key }) => [namespace, key.toString()])).toEqual([['demo', mine]]);
});

test('a heartbeat that echoes a tick stands behind every write that was answered before the tick', async () => {
  const { cache } = stage();
  const prefix = freshKey('fresh');
  const keys = keysOf('cache-0', prefix, 50);
  const stream = watch('cache-0', { namespace: 'demo', prefix: Buffer.from(prefix) });
  await stream.next(subscribed);
  for (const [i, key] of keys.entries()) {
    const { version } = await cache.put({ namespace: 'demo', key: Buffer.from(key) });
    const tick = BigInt(i + 1);
    stream.send({ subscribe: undefined, tick: { monotonicNs: tick } });
    let isTold = false;
    await stream.next((message) => {
      isTold ||= message.events?.events.some((event) => event.version === version) ?? false;
      return message.heartbeat?.tickMonotonicNs === tick;
    });
    expect([key, isTold]).toEqual([key, true]);
  }
});

test('a subscription goes on behind a position without a gap and without a repeat', async () => {
  const { cache } = stage();
  const prefix = freshKey('resume');
  const keys = keysOf('cache-0', prefix, 30);
  const first = watch('cache-0', { namespace: 'demo', prefix: Buffer.from(prefix) });
  await first.next(subscribed);
  const versions: bigint[] = [];
  for (const key of keys.slice(0, 10))
    versions.push((await cache.put({ namespace: 'demo', key: Buffer.from(key) })).version);
  const { events, position } = await take(first, 10);
  first[Symbol.dispose]();
  for (const key of keys.slice(10))
    versions.push((await cache.put({ namespace: 'demo', key: Buffer.from(key) })).version);
  const second = watch('cache-0', { namespace: 'demo', prefix: Buffer.from(prefix), position });
  const rest = await take(second, keys.length - 10);
  const told = [...events, ...rest.events].map(({ version }) => version);
  expect(told.toSorted()).toEqual(versions.toSorted());
});

test.each([
  ['a tick before the subscription', { tick: { monotonicNs: 1n }, subscribe: undefined }],
  [
    'a heartbeat interval of 49 ms',
    { subscribe: Subscribe.fromPartial({ heartbeatInterval: { seconds: 0n, nanos: 49_000_000 } }), tick: undefined },
  ],
  ['a namespace that does not exist', { subscribe: Subscribe.fromPartial({ namespace: 'nobody' }), tick: undefined }],
])('%s is refused', async (_, request) => {
  const stream = openWatch(address('cache-0'));
  stream.send(request);
  await expect(stream.next()).rejects.toThrow(/INVALID_ARGUMENT|NOT_FOUND/);
});
