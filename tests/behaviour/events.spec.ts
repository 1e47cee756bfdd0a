import { request } from 'node:http';
import { afterEach, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { entry } from '../support/http.ts';
import { freshKey, useStage } from '../support/platform.ts';
import { expectProblem } from '../support/problem.ts';

const stage = useStage();

type ServerSentEvent = { readonly id: string; readonly event: string; readonly data: Record<string, unknown> };

type EventStream = Disposable & {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  /** What has arrived so far, without the first id. */
  readonly events: readonly ServerSentEvent[];
  readonly text: string;
  /** The newest id. */
  readonly lastId: string;
};

const open: Disposable[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one[Symbol.dispose]();
});

const parse = (block: string): Partial<ServerSentEvent> => {
  const field = (name: string): string | undefined => new RegExp(`^${name}: ?(.*)$`, 'm').exec(block)?.[1];
  const data = field('data');
  const [id, event] = [field('id'), field('event')];
  return {
    ...(id !== undefined && { id }),
    ...(event !== undefined && { event }),
    ...(data !== undefined && { data: JSON.parse(data) }),
  };
};

const listen = (path: string, headers: Record<string, string> = {}): Promise<EventStream> =>
  new Promise((resolve, reject) => {
    const url = `${stage().platform.instance('gateway-0').url('http')}${path}`;
    const outgoing = request(url, { headers: { accept: 'text/event-stream', ...headers } }, (incoming) => {
      let text = '';
      incoming.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      incoming.on('error', () => {});
      const blocks = (): Partial<ServerSentEvent>[] => text.split('\n\n').slice(0, -1).map(parse);
      resolve({
        status: incoming.statusCode,
        headers: incoming.headers,
        get text() {
          return text;
        },
        get events() {
          return blocks().filter((block): block is ServerSentEvent => block.event !== undefined);
        },
        get lastId() {
          return blocks().findLast(({ id }) => id !== undefined)?.id ?? '';
        },
        [Symbol.dispose]: () => outgoing.destroy(),
      });
    });
    outgoing.on('error', reject).end();
    open.push({ [Symbol.dispose]: () => outgoing.destroy() });
  });

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

test('after a restart of a node a stream is told to drop what it holds', async () => {
  const { platform } = stage();
  const stream = await listen('/v1/cache/demo');
  await eventually(() => expect(stream.lastId).not.toBe(''));
  await platform.instance('cache-0').restart({ force: true });
  await eventually(() => expect(stream.events.map(({ event }) => event)).toContain('reset'), 10_000);
  await stage().http.put(entry('after-the-reset'), 'x');
  await eventually(() => expect(stream.events.some(({ data }) => data['key'] === 'after-the-reset')).toBe(true));
}, 60_000);

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
