// Each way in which a cache can be wrong is counted as what it is, and a cache that is right is never accused.
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { answer, FakeCache, type Misbehaviour, problem } from './fake-cache.ts';
import { type LoadOptions, type LoadReport, startLoad } from './index.ts';
import { isClean } from './report.ts';

const base = { rate: 1_000, keys: 40, seed: 7, timeoutMs: 400, lateMs: 300, patienceMs: 2_000 } as const;

/** A load against a cache that misbehaves once the keys are there, until `limit` requests were sent. */
const loadOn = async (
  misbehave: Misbehaviour,
  options: Partial<LoadOptions> = {},
  milliseconds = 400,
): Promise<LoadReport> => {
  await using cache = await FakeCache.start(misbehave);
  const load = startLoad({ urls: [cache.url], ...base, ...options });
  await load.ready;
  cache.armed = true;
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  // Awaited here: the cache is gone when this returns.
  return await load.stop();
};

/** What the report says is wrong; nothing: an empty object. */
const wrongIn = ({ failed, lost, stale, wrong, notSent }: LoadReport): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries({ failed, lost, stale, wrong, notSent }).flatMap(([name, { total, byReason }]) =>
      total > 0 ? [[name, byReason]] : [],
    ),
  );

const everyKind = { read: 50, write: 30, cas: 10, increment: 10 };

test('a cache that is right has nothing held against it, with every kind of request', async () => {
  // A machine that is busy with other things is no flaw of the cache.
  const patient = { timeoutMs: 10_000, lateMs: 10_000 };
  const report = await loadOn(() => false, { rate: 2_000, mix: everyKind, ...patient }, 1_000);
  expect(wrongIn(report)).toEqual({});
  expect(isClean(report)).toBe(true);
  expect(report.answered).toBe(report.sent);
  expect(report.answered).toBeGreaterThan(1_500);
  for (const kind of ['read', 'write', 'cas', 'increment'] as const)
    expect(report.latencyByKind[kind].answered).toBeGreaterThan(20);
  expect(report).toMatchObject({ unverified: 0, notSwept: 0, conflicts: 0 });
});

test('answers that come in another order than they were made are no flaw', async () => {
  const report = await loadOn(
    async (exchange, cache) => {
      cache.execute({ ...exchange, response: later(exchange.response, (exchange.number * 7) % 30) });
      return true;
    },
    { mix: everyKind, keys: 200 },
  );
  expect(wrongIn(report)).toEqual({});
});

test('a write that vanished is lost, once', async () => {
  const report = await loadOn(
    ({ method, number, path }, cache) => {
      if (method === 'GET' && number === 50) cache.entries.delete(path);
      return false;
    },
    { mix: { read: 100 } },
  );
  expect(wrongIn(report)).toEqual({ lost: { 'no entry': 1 } });
});

test('a write that vanished and was not read since is found at the end', async () => {
  const report = await loadOn(
    ({ method, number, path }, cache) => {
      if (method === 'PUT' && number === 20)
        for (const other of cache.entries.keys()) if (other !== path) return cache.entries.delete(other) && false;
      return false;
    },
    { mix: { write: 1 }, rate: 100 },
  );
  expect(report.lost.total).toBe(1);
});

test('a write that was acknowledged and not done is lost, or stale', async () => {
  const report = await loadOn(
    ({ method, number, response }, cache) => {
      if (method !== 'PUT' || number !== 20) return false;
      answer(204, { value: Buffer.alloc(0), version: 2_000_000n })(response);
      cache.armed = false;
      return true;
    },
    { mix: { read: 90, write: 10 }, keys: 20 },
  );
  expect(report.lost.total + report.stale.total).toBeGreaterThan(0);
});

test('an entry that is evicted is not lost', async () => {
  let evicted = 0;
  const report = await loadOn(
    ({ method, number, path }, cache) => {
      if (method === 'GET' && number % 50 === 0) {
        cache.entries.delete(path);
        evicted += 1;
      }
      return false;
    },
    { mix: { read: 100 }, keys: 400, evictions: async () => evicted },
  );
  expect(report.evicted).toBeGreaterThan(0);
  expect(report.lost.total).toBe(0);
});

test('where owners may change, what is gone has moved, and what is older is stale all the same', async () => {
  const report = await loadOn(
    ({ method, number, path, response }, cache) => {
      if (method !== 'GET') return false;
      const old = cache.former.get(path);
      if (number < 100) cache.entries.delete(path);
      else if (old && !cache.results.has('done')) {
        cache.results.set('done', () => {});
        answer(200, old)(response);
        return true;
      }
      return false;
    },
    { ownersMayChange: true, mix: { read: 70, write: 20, increment: 10 } },
  );
  expect(wrongIn(report)).toEqual({ stale: { 'an older version': 1 } });
  expect(report.moved.total).toBeGreaterThan(20);
});

test('an old value under its old version is stale', async () => {
  let given = 0;
  const report = await loadOn(({ method, path, response, number }, cache) => {
    const old = cache.former.get(path);
    if (method !== 'GET' || old === undefined || number < 20 || given >= 3) return false;
    given += 1;
    answer(200, old)(response);
    return true;
  });
  expect(wrongIn(report)).toEqual({ stale: { 'an older version': 3 } });
});

test('an old value under a new version is stale', async () => {
  const report = await loadOn(
    ({ method, path, number }, cache) => {
      const old = cache.former.get(path);
      if (method === 'GET' && number === 100 && old) cache.set(path, old.value);
      return false;
    },
    { mix: { read: 100 }, ...{ seed: 3 } },
  );
  // Without former writes there is nothing old: the fill wrote each key once.
  expect(report.stale.total).toBe(0);
  const written = await loadOn(
    ({ method, path, number }, cache) => {
      const old = cache.former.get(path);
      if (method === 'GET' && number > 100 && old && !cache.results.has('done')) {
        cache.results.set('done', () => {});
        cache.set(path, old.value);
      }
      return false;
    },
    { mix: { read: 90, write: 10 } },
  );
  expect(Object.keys(written.stale.byReason).join()).toContain('an older value under a newer version');
});

test('a value of another key, and bytes that nobody wrote, are wrong', async () => {
  const report = await loadOn(
    ({ method, number, path, response }, cache) => {
      if (method !== 'GET' || number > 2) return false;
      const version = cache.entries.get(path)?.version ?? 0n;
      const [other] = [...cache.entries].find(([key]) => key !== path && !key.endsWith('increment')) ?? [''];
      const value = number === 1 ? cache.entries.get(other)?.value : Buffer.from('garbage');
      answer(200, { value: value ?? Buffer.alloc(0), version })(response);
      return true;
    },
    { mix: { read: 100 } },
  );
  expect(wrongIn(report)).toEqual({ wrong: { 'the value of another key': 1, 'bytes that nobody wrote': 1 } });
});

test('one flipped bit of a value is wrong', async () => {
  const report = await loadOn(
    ({ method, number, path, response }, cache) => {
      const entry = cache.entries.get(path);
      if (method !== 'GET' || number !== 10 || entry === undefined) return false;
      const value = Buffer.from(entry.value);
      value[value.length - 1] = (value.at(-1) ?? 0) ^ 1;
      answer(200, { value, version: entry.version })(response);
      return true;
    },
    { mix: { read: 100 } },
  );
  expect(wrongIn(report)).toEqual({ wrong: { 'bytes that nobody wrote': 1 } });
});

test('errors are counted by status and reason', async () => {
  const report = await loadOn(({ method, number, response }) => {
    if (method !== 'GET' || number > 5) return false;
    problem(503, number > 3 ? 'OVERLOADED' : 'NODE_UNAVAILABLE')(response);
    return true;
  });
  expect(wrongIn(report)).toEqual({ failed: { '503 NODE_UNAVAILABLE': 3, '503 OVERLOADED': 2 } });
});

test('a write that was refused and took effect all the same is wrong', async () => {
  const report = await loadOn(
    ({ method, number, path, response, body }, cache) => {
      if (method !== 'PUT' || number !== 3) return false;
      cache.set(path, body);
      problem(503, 'NODE_UNAVAILABLE')(response);
      return true;
    },
    { mix: { read: 95, write: 5 }, keys: 10 },
  );
  expect(report.failed.byReason).toEqual({ '503 NODE_UNAVAILABLE': 1 });
  expect(Object.keys(report.wrong.byReason).join()).toContain('a refused write took effect');
});

test.each([
  ['took effect', true],
  ['did not', false],
])('a write of unknown outcome that %s makes both values right', async (_, effect) => {
  const report = await loadOn(
    ({ method, number, path, response, body, request }, cache) => {
      if (method !== 'PUT' || number % 5 !== 0) return false;
      const expected = request.headers['if-match'];
      const matches = expected === undefined || expected === `"${cache.entries.get(path)?.version}"`;
      if (effect && matches) cache.set(path, body);
      problem(504, 'OUTCOME_UNKNOWN')(response);
      return true;
    },
    { mix: { read: 50, write: 40, cas: 10 } },
  );
  expect(Object.keys(wrongIn(report))).toEqual(['failed']);
  expect(Object.keys(report.failed.byReason)).toEqual(['504 OUTCOME_UNKNOWN']);
});

test('a write of unknown outcome may take effect much later', async () => {
  const late: { path: string; body: Buffer }[] = [];
  const report = await loadOn(
    ({ method, number, path, response, body, request }, cache) => {
      if (method !== 'PUT') return false;
      if (number % 20 === 19) for (const { path, body } of late.splice(0)) cache.set(path, body);
      if (number % 10 !== 0 || request.headers['if-match']) return false;
      late.push({ path, body });
      problem(504, 'OUTCOME_UNKNOWN')(response);
      return true;
    },
    { mix: { read: 50, write: 40, cas: 10 }, keys: 10 },
  );
  expect(Object.keys(wrongIn(report))).toEqual(['failed']);
});

test('a key of which too many writes have no outcome is given up for another one', async () => {
  const report = await loadOn(
    ({ method, response }) => {
      if (method !== 'PUT') return false;
      problem(504, 'OUTCOME_UNKNOWN')(response);
      return true;
    },
    { mix: { read: 50, write: 50 }, keys: 4 },
  );
  expect(Object.keys(wrongIn(report))).toEqual(['failed']);
  expect(report.notSwept).toBe(0);
});

test('a connection that is reset has no outcome, one that is refused was not begun', async () => {
  const report = await loadOn(({ method, number, request }) => {
    if (method !== 'PUT' || number > 3) return false;
    request.socket.resetAndDestroy();
    return true;
  });
  expect(wrongIn(report)).toEqual({ failed: { 'connection reset': 3 } });
});

test('an answer that does not come is a failure, and one that comes late is late', async () => {
  const report = await loadOn(
    ({ method, number, response, ...rest }, cache) => {
      if (method !== 'GET' || number > 3) return false;
      if (number > 1) cache.execute({ method, number, response: later(response, 350), ...rest });
      return true;
    },
    {},
    900,
  );
  expect(report.failed.byReason).toEqual({ 'no answer in time': 1 });
  expect(report.late.byReason).toEqual({ 'no answer within 300 ms': 3 });
});

test('latency counts from the time at which a request was due', async () => {
  const report = await loadOn(
    ({ method, number, response, ...rest }, cache) => {
      if (method !== 'GET' || number !== 20) return false;
      cache.execute({ method, number, response: later(response, 250), ...rest });
      return true;
    },
    { connections: 1, rate: 200, mix: { read: 1 } },
    800,
  );
  // One connection: all that was due during the 250 ms waited.
  expect(report.latency.p90).toBeGreaterThan(20);
  expect(report.latency.max).toBeGreaterThan(240);
});

test('what cannot be sent because too much is under way is counted', async () => {
  const report = await loadOn(({ method }) => method === 'GET', { mix: { read: 1 }, maxInFlight: 10 }, 200);
  expect(report.notSent.byReason).toEqual({ '10 requests were waiting for their answers': report.notSent.total });
  expect(report.notSent.total).toBeGreaterThan(50);
  expect(report.failed.byReason).toEqual({ 'no answer in time': 10 });
});

test('increments that are counted twice are wrong, those that are forgotten are lost', async () => {
  const mix = { read: 20, increment: 80 };
  const twice = await loadOn(
    (exchange, cache) => {
      if (exchange.method !== 'POST' || exchange.number !== 5) return false;
      const body = Buffer.from('{"delta":"2"}');
      cache.execute({ ...exchange, body });
      return true;
    },
    { mix },
  );
  expect(wrongIn(twice)).toEqual({ wrong: { 'an increment was counted twice': 1 } });
  const forgotten = await loadOn(
    ({ method, number, path }, cache) => {
      if (method === 'POST' && number === 100) cache.set(path.replace('/increment', ''), Buffer.from('0'));
      return false;
    },
    { mix },
  );
  expect(forgotten.lost.total).toBe(1);
  expect(forgotten.wrong.total).toBe(0);
});

test('with idempotency keys, what has no outcome is repeated and is exact', async () => {
  const report = await loadOn(
    (exchange, cache) => {
      if (exchange.method === 'GET' || exchange.number % 3 !== 0) return false;
      if (exchange.number % 2 === 0) cache.execute({ ...exchange, response: silent(exchange.response) });
      exchange.request.socket.resetAndDestroy();
      return true;
    },
    { mix: { read: 20, write: 30, cas: 20, increment: 30 }, keys: 400, idempotent: true, timeoutMs: 2_000 },
  );
  expect(wrongIn(report)).toEqual({});
  expect(report.retried.byReason['connection reset']).toBeGreaterThan(10);
});

test('idempotency keys that are not honoured are seen', async () => {
  const report = await loadOn(
    (exchange, cache) => {
      if (exchange.method !== 'POST' || exchange.number !== 9) return false;
      cache.execute({ ...exchange, response: silent(exchange.response) });
      cache.results.clear();
      exchange.request.socket.resetAndDestroy();
      return true;
    },
    { mix: { increment: 1 }, keys: 400, idempotent: true },
  );
  expect(wrongIn(report)).toEqual({ wrong: { 'an increment was counted twice': 1 } });
});

test('steps follow each other, and the load ends by itself', async () => {
  await using cache = await FakeCache.start();
  const steps = [
    { rate: 200, seconds: 0.3 },
    { rate: 1_000, seconds: 0.3 },
  ];
  const samples: number[] = [];
  const load = startLoad({ urls: [cache.url], ...base, steps, onSample: ({ answered }) => samples.push(answered) });
  await load.ended;
  const report = await load.stop();
  expect(report.sent).toBe(360);
  expect(report.steps.map(({ rate, sent }) => [rate, sent])).toEqual([
    [200, 60],
    [1_000, 300],
  ]);
  expect(samples.length).toBeGreaterThanOrEqual(6);
  expect(samples.reduce((sum, answered) => sum + answered, 0)).toBe(360);
  expect(report.windows.reduce((sum, { sent }) => sum + sent, 0)).toBe(360);
});

test('the keys can be restricted to those that somebody chooses', async () => {
  await using cache = await FakeCache.start();
  const keys = new Set<string>();
  const accepts = (_: string, key: string): boolean => key.endsWith('7');
  await using load = startLoad({ urls: [cache.url], ...base, accepts });
  await load.ready;
  for (const path of cache.entries.keys()) keys.add(path.slice(-1));
  expect([...keys]).toEqual(['7']);
});

test('a gateway that cannot be reached is said at once, when the keys cannot be written', async () => {
  const server = createServer((socket: Socket) => socket.destroy());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  const load = startLoad({ urls: [url], ...base, patienceMs: 200 });
  await expect(load.ready).rejects.toMatchObject({ code: 'REQUEST_FAILED' });
  await expect(load.stop()).rejects.toMatchObject({ code: 'REQUEST_FAILED' });
  server.close();
});

test.each([
  ['no URL', { urls: [] }],
  ['a rate of 0', { urls: ['http://127.0.0.1:1'], rate: 0 }],
  ['an empty mix', { urls: ['http://127.0.0.1:1'], mix: {} }],
  ['values over 8 MiB', { urls: ['http://127.0.0.1:1'], sizes: [{ bytes: 9_000_000, weight: 1 }] }],
])('%s is refused', (_, options) => {
  expect(() => startLoad(options)).toThrow(expect.objectContaining({ code: 'USAGE' }));
});

/** An answer that goes out `ms` later. */
function later<Response extends import('node:http').ServerResponse>(response: Response, ms: number): Response {
  return new Proxy(response, {
    get: (target, name) => {
      if (name === 'end')
        return (...args: unknown[]) => void setTimeout(() => Reflect.apply(target.end, target, args), ms);
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function'
        ? (...args: unknown[]) => {
            const result: unknown = Reflect.apply(value, target, args);
            return result === target ? later(target, ms) : result;
          }
        : value;
    },
  });
}

/** An answer that never goes out. */
function silent<Response extends import('node:http').ServerResponse>(response: Response): Response {
  return new Proxy(response, { get: () => () => silent(response) });
}
