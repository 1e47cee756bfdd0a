import { expect, test } from '@jest/globals';
import { entry } from '../support/http.ts';
import { freshKey, freshName, useSharedStage } from '../support/platform.ts';
import { expectProblem } from '../support/problem.ts';

const stage = useSharedStage();

const json = { 'content-type': 'application/json' };

const send = (method: string, name: string, policy: object) =>
  stage().http.request(method, `/v1/namespaces/${name}`, { headers: json, body: JSON.stringify(policy) });

test('"default" and "demo" are there from the start', async () => {
  const answer = await stage().http.get('/v1/namespaces');
  const { namespaces } = answer.json() as { namespaces: { name: string }[] };
  expect(namespaces.map(({ name }) => name)).toEqual(expect.arrayContaining(['default', 'demo']));
});

test('a namespace is made, read, changed and deleted', async () => {
  const { http } = stage();
  const name = freshName('ns');
  expect((await send('PUT', name, { quotaBytes: '1000000', defaultTtl: '60s' })).status).toBe(201);
  expect((await http.get(`/v1/namespaces/${name}`)).json()).toMatchObject({
    name,
    quotaBytes: '1000000',
    defaultTtl: '60s',
  });
  expect((await send('PATCH', name, { maxValueBytes: '10', defaultTtl: null })).status).toBe(200);
  const changed = (await http.get(`/v1/namespaces/${name}`)).json() as Record<string, unknown>;
  expect(changed).toMatchObject({ quotaBytes: '1000000', maxValueBytes: '10' });
  expect(changed['defaultTtl'] ?? null).toBeNull();
  expectProblem(await http.put(entry('k', name), 'x'.repeat(11)), 'VALUE_TOO_LARGE');
  expect((await http.put(entry('k', name), 'x'.repeat(10))).status).toBe(201);
  expect((await http.delete(`/v1/namespaces/${name}`)).status).toBe(200);
  expectProblem(await http.get(entry('k', name)), 'NAMESPACE_NOT_FOUND');
  expectProblem(await http.get(`/v1/namespaces/${name}`), 'NAMESPACE_NOT_FOUND');
});

test('a namespace that is made again after its deletion is empty, and versions went on', async () => {
  const { http } = stage();
  const name = freshName('ns');
  await send('PUT', name, {});
  const { version: before = 0n } = await http.put(entry('k', name), 'x');
  await http.delete(`/v1/namespaces/${name}`);
  expect((await send('PUT', name, {})).status).toBe(201);
  expect((await http.get(entry('k', name))).status).toBe(404);
  expect((await http.put(entry('k', name), 'y')).version).toBeGreaterThan(before);
});

test('a flush empties one namespace and no other', async () => {
  const { http } = stage();
  const [one, other] = [freshName('ns'), freshName('ns')];
  const keys = Array.from({ length: 20 }, () => freshKey());
  for (const name of [one, other]) {
    await send('PUT', name, {});
    await Promise.all(keys.map((key) => http.put(entry(key, name), 'x')));
  }
  expect((await http.post(`/v1/namespaces/${one}/flush`)).status).toBeLessThan(300);
  const statuses = async (name: string) =>
    new Set(await Promise.all(keys.map(async (key) => (await http.get(entry(key, name))).status)));
  expect([...(await statuses(one))]).toEqual([404]);
  expect([...(await statuses(other))]).toEqual([200]);
});

test('a quota holds by eviction, and lowering it evicts', async () => {
  const { http } = stage();
  const name = freshName('ns');
  await send('PUT', name, { quotaBytes: '200000' });
  const keys = Array.from({ length: 1_000 }, () => freshKey());
  for (const key of keys) expect((await http.put(entry(key, name), 'x'.repeat(1_000))).status).toBe(201);
  const live = async () =>
    (await Promise.all(keys.map(async (key) => (await http.get(entry(key, name))).status))).filter((s) => s === 200)
      .length;
  const before = await live();
  // Two nodes with 200,000 bytes each hold fewer than 400 entries of 1,000 bytes, and more than half of that.
  expect(before).toBeLessThan(400);
  expect(before).toBeGreaterThan(200);
  expect((await send('PATCH', name, { quotaBytes: '50000' })).status).toBe(200);
  expect(await live()).toBeLessThan(100);
});

test.each([
  [{ quotaBytes: '-1' }],
  [{ quotaBytes: 'many' }],
  [{ maxValueBytes: '8388609' }],
  [{ maxValueBytes: '0' }],
  [{ defaultTtl: '10s', maxTtl: '5s' }],
  [{ defaultTtl: '0s' }],
  [{ colour: 'red' }],
])('the policy %j is refused', async (policy) => {
  const name = freshName('ns');
  expectProblem(await send('PUT', name, policy), 'INVALID_ARGUMENT');
  expectProblem(await stage().http.get(`/v1/namespaces/${name}`), 'NAMESPACE_NOT_FOUND');
});

test('"default" cannot be deleted', async () => {
  expectProblem(await stage().http.delete('/v1/namespaces/default'), 'INVALID_ARGUMENT');
});
