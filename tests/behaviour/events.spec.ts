import { expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { entry } from '../support/http.ts';
import { freshKey, useSharedStage } from '../support/platform.ts';
import { expectProblem } from '../support/problem.ts';
import { type EventStream, listenTo } from '../support/server-sent-events.ts';

const stage = useSharedStage();

const listen = (path: string, headers?: Record<string, string>): Promise<EventStream> =>
  listenTo(`${stage().platform.instance('gateway-0').url('http')}${path}`, headers);

test('what happens to the keys of a prefix, on all nodes, is told with key and version', async () => {
  const { http } = stage();
  const prefix = freshKey('sse');
  const stream = await listen(`/v1/cache/demo?prefix=${prefix}`);
  expect(stream.status).toBe(200);
  expect(stream.headers).toMatchObject({
    'content-type': expect.stringContaining('text/event-stream'),
    'cache-control': 'no-store',
    vary: 'Accept',
  });
  await eventually(() => expect(stream.lastId).not.toBe(''));
  const keys = Array.from({ length: 20 }, (_, i) => `${prefix}-${i}`);
  const versions = new Map<string, string>();
  for (const key of keys) versions.set(key, String((await http.put(entry(key), 'x')).version));
  await http.put(entry(freshKey('other')), 'x');
  await http.delete(entry(keys[0] ?? ''));
  await eventually(() => expect(stream.events.length).toBe(21));
  const puts = stream.events.filter(({ event }) => event === 'put');
  expect(new Map(puts.map(({ data }) => [data['key'], data['version']]))).toEqual(versions);
  expect(stream.events.filter(({ event }) => event === 'deleted').map(({ data }) => data['key'])).toEqual([keys[0]]);
});

test('a stream that comes back with its last id goes on without a gap and without a repeat', async () => {
  const { http } = stage();
  const prefix = freshKey('resume');
  const first = await listen(`/v1/cache/demo?prefix=${prefix}`);
  await eventually(() => expect(first.lastId).not.toBe(''));
  for (let i = 0; i < 10; i++) await http.put(entry(`${prefix}-${i}`), 'x');
  await eventually(() => expect(first.events.length).toBe(10));
  first[Symbol.dispose]();
  for (let i = 10; i < 30; i++) await http.put(entry(`${prefix}-${i}`), 'x');
  const second = await listen(`/v1/cache/demo?prefix=${prefix}`, { 'last-event-id': first.lastId });
  await eventually(() => expect(second.events.length).toBe(20));
  const told = [...first.events, ...second.events].map(({ data }) => data['key']);
  expect(told.toSorted()).toEqual(Array.from({ length: 30 }, (_, i) => `${prefix}-${i}`).toSorted());
});

test('a last id that nobody gave is refused', async () => {
  const answer = await stage().http.get('/v1/cache/demo', { accept: 'text/event-stream', 'last-event-id': 'x' });
  expectProblem(answer, 'INVALID_ARGUMENT');
});

test('only who names text/event-stream gets events: */* gets a listing', async () => {
  const answer = await stage().http.get('/v1/cache/demo?prefix=none-such', { accept: '*/*' });
  expect(answer.json()).toMatchObject({ keys: [] });
});

test('nothing that is asked for can be given: NOT_ACCEPTABLE', async () => {
  expectProblem(await stage().http.get('/v1/cache/demo', { accept: 'image/png' }), 'NOT_ACCEPTABLE');
});
