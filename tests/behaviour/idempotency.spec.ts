// What makes a retry after a lost answer safe: an operation that carries an id is done once, however often it is sent.
import { randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { entry } from '../support/http.ts';
import { freshKey, useSharedStage } from '../support/platform.ts';
import { expectProblem } from '../support/problem.ts';

const stage = useSharedStage();
const json = { 'content-type': 'application/json' };

const increment = (key: string, id: string, delta = '1') =>
  stage().http.request('POST', `${entry(key)}/increment`, {
    headers: { ...json, 'idempotency-key': id },
    body: JSON.stringify({ delta }),
  });

test('a repeated increment is added once, and is answered as it was at first', async () => {
  const key = freshKey();
  const first = await increment(key, 'a');
  await increment(key, 'b');
  const repeat = await increment(key, 'a');
  expect(repeat.json()).toEqual(first.json());
  expect((await stage().http.request('GET', entry(key))).text).toBe('2');
});

test('a repeated PUT writes nothing, and answers the version of the first', async () => {
  const { http } = stage();
  const key = freshKey();
  const put = (body: string, id: string) =>
    http.request('PUT', entry(key), { headers: { 'idempotency-key': id }, body });
  const first = await put('one', 'a');
  const other = await put('two', 'b');
  const repeat = await put('one', 'a');
  expect([repeat.status, repeat.version]).toEqual([first.status, first.version]);
  const get = await http.request('GET', entry(key));
  expect([get.text, get.version]).toEqual(['two', other.version]);
});

test('a refusal for the request itself is remembered, too', async () => {
  const { http } = stage();
  const key = freshKey();
  const put = () =>
    http.request('PUT', entry(key), { headers: { 'if-none-match': '*', 'idempotency-key': 'a' }, body: 'mine' });
  await http.request('PUT', entry(key), { body: 'theirs' });
  expectProblem(await put(), 'PRECONDITION_FAILED');
  await http.request('DELETE', entry(key));
  expectProblem(await put(), 'PRECONDITION_FAILED');
  expect((await http.request('GET', entry(key))).status).toBe(404);
});

test('another request under the same id is refused, and does nothing', async () => {
  const key = freshKey();
  await increment(key, 'a');
  expectProblem(await increment(key, 'a', '2'), 'IDEMPOTENCY_KEY_REUSED');
  expect((await stage().http.request('GET', entry(key))).text).toBe('1');
});

test('an id belongs to its key: another key knows nothing of it', async () => {
  const [one, two] = [freshKey(), freshKey()];
  await increment(one, 'a');
  expect((await increment(two, 'a', '5')).json()).toMatchObject({ value: '5' });
});

test('a repeated deletion leaves alone what was written since', async () => {
  const { http } = stage();
  const key = freshKey();
  const remove = () => http.request('DELETE', entry(key), { headers: { 'idempotency-key': 'a' } });
  await http.request('PUT', entry(key), { body: 'one' });
  expect((await remove()).status).toBe(204);
  await http.request('PUT', entry(key), { body: 'two' });
  expect((await remove()).status).toBe(204);
  expect((await http.request('GET', entry(key))).text).toBe('two');
});

test('by gRPC an id has 16 bytes, and is refused with fewer', async () => {
  const { cache } = stage();
  const request = { namespace: 'demo', key: Buffer.from(freshKey()), delta: 1n };
  const operationId = randomBytes(16);
  const first = await cache.increment({ ...request, operationId });
  expect(await cache.increment({ ...request, operationId })).toEqual(first);
  await expect(cache.increment({ ...request, operationId: randomBytes(15) })).rejects.toMatchObject({
    reason: 'INVALID_ARGUMENT',
  });
});
