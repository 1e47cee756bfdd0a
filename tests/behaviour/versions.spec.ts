import { expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { entry } from '../support/http.ts';
import { freshKey, freshName, useSharedStage } from '../support/platform.ts';

const stage = useSharedStage();

test('a version grows with every write, across deletion, expiry and flush', async () => {
  const { http, cache } = stage();
  const namespace = freshName('versions');
  await http.request('PUT', `/v1/namespaces/${namespace}`, {
    headers: { 'content-type': 'application/json' },
    body: '{}',
  });
  const key = freshKey();
  const path = entry(key, namespace);
  const seen: bigint[] = [];
  const see = (version: bigint | undefined): void => {
    expect(version).toBeDefined();
    expect(version).toBeGreaterThan(seen.at(-1) ?? 0n);
    seen.push(version ?? 0n);
  };
  see((await http.put(path, '1')).version);
  see((await http.put(path, '2')).version);
  see((await cache.delete({ namespace, key: Buffer.from(key) })).version);
  see((await http.put(`${path}?ttl=50ms`, '3')).version);
  await eventually(async () => expect((await http.get(path)).status).toBe(404));
  see((await http.put(path, '4')).version);
  expect((await http.post(`/v1/namespaces/${namespace}/flush`)).status).toBeLessThan(300);
  expect((await http.get(path)).status).toBe(404);
  see((await http.put(path, '5')).version);
});

test('a version is made of milliseconds, a counter and the tag of its node', async () => {
  const { http, cache, platform } = stage();
  const key = freshKey();
  const { version = 0n } = await http.put(entry(key), 'x');
  const owner = platform.clientTopology.nodes.find(({ name }) => name === cache.nodeOf('demo', key));
  expect(Number(version & 0x3ffn)).toBe(owner?.tag);
  expect(Math.abs(Number(version >> 22n) - Date.now())).toBeLessThan(60_000);
  expect(version).toBeGreaterThan(2n ** 53n);
});

test('a version is the same, to the last digit, by HTTP, in JSON and by gRPC', async () => {
  const { http, cache } = stage();
  const key = freshKey();
  const path = entry(key);
  const counted = (await http.post(`${path}/increment`, { delta: '1' })).json() as { version: string };
  const { entry: found } = await cache.get({ namespace: 'demo', key: Buffer.from(key) });
  const batch = (await http.post('/v1/cache/demo', { operations: [{ get: { key } }] })).json() as {
    results: { etag: string }[];
  };
  expect([counted.version, batch.results[0]?.etag, (await http.get(path)).headers['etag']]).toEqual([
    found?.version.toString(),
    `"${found?.version}"`,
    `"${found?.version}"`,
  ]);
});
