import { describe, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { entry } from '../support/http.ts';
import { freshKey, useSharedStage } from '../support/platform.ts';
import { expectProblem } from '../support/problem.ts';

const stage = useSharedStage();

const remaining = async (path: string): Promise<number | undefined> => {
  const status = (await stage().http.get(path)).headers['cache-status'] ?? '';
  const [, ttl] = /ttl=(\d+)/.exec(status) ?? [];
  return ttl === undefined ? undefined : Number(ttl);
};

describe('a TTL', () => {
  test.each([
    ['?ttl=200ms', {}],
    ['?ttl=1s', {}],
    ['', { 'cache-control': 'max-age=1' }],
  ])('by "%s" and %j ends the entry, not before and not long after', async (query, headers) => {
    const { http } = stage();
    const path = entry(freshKey());
    const milliseconds = query.includes('200ms') ? 200 : 1_000;
    const before = performance.now();
    await http.put(`${path}${query}`, 'x', headers);
    const after = performance.now();
    // Every read that ended before the TTL was over since the write was sent must find the entry.
    for (;;) {
      const { status } = await http.get(path);
      if (performance.now() < before + milliseconds) expect(status).toBe(200);
      if (status === 404) break;
      expect(performance.now()).toBeLessThan(after + milliseconds + 1_000);
    }
  });

  test('in both places is refused', async () => {
    const { http } = stage();
    const path = entry(freshKey());
    expectProblem(await http.put(`${path}?ttl=1s`, 'x', { 'cache-control': 'max-age=1' }), 'INVALID_ARGUMENT');
    expect((await http.get(path)).status).toBe(404);
  });

  test.each(['0ms', '0s', '-1s', '1', '1.5s', 's', '1h', '', '1ms1ms', '99999999999999999999s'])(
    '"%s" is refused',
    async (ttl) => {
      const { http } = stage();
      const path = entry(freshKey());
      expectProblem(await http.put(`${path}?ttl=${ttl}`, 'x'), 'INVALID_ARGUMENT');
      expect((await http.get(path)).status).toBe(404);
    },
  );

  test.each(['max-age=0', 'max-age=-1', 'max-age=x', 'max-age=1, max-age=2'])(
    'by Cache-Control "%s" is refused',
    async (value) => {
      expectProblem(await stage().http.put(entry(freshKey()), 'x', { 'cache-control': value }), 'INVALID_ARGUMENT');
    },
  );

  test('never and keep are what they say', async () => {
    const { http } = stage();
    const path = entry(freshKey());
    await http.put(`${path}?ttl=600s`, '1');
    await http.put(`${path}?ttl=keep`, '2');
    expect(await remaining(path)).toBeGreaterThan(590);
    await http.put(`${path}?ttl=never`, '3');
    expect(await remaining(path)).toBeUndefined();
    await http.put(`${path}?ttl=600s`, '4');
    await http.put(path, '5');
    expect(await remaining(path)).toBeUndefined();
  });

  test('is changed by a touch, which leaves value and version', async () => {
    const { http } = stage();
    const path = entry(freshKey());
    const { version } = await http.put(`${path}?ttl=100s`, 'x');
    const touched = await http.post(`${path}/touch`, { ttl: '500s' });
    expect(touched.status).toBe(200);
    expect(await remaining(path)).toBeGreaterThan(490);
    expect(await http.get(path)).toMatchObject({ text: 'x', version });
    expectProblem(await http.post(`${entry(freshKey())}/touch`, { ttl: '5s' }), 'KEY_NOT_FOUND');
    expectProblem(await http.post(`${path}/touch`, { ttl: '0s' }), 'INVALID_ARGUMENT');
  });

  test('that is over leaves nothing to touch, to count on or to list', async () => {
    const { http } = stage();
    const key = freshKey('gone');
    const path = entry(key);
    await http.put(`${path}?ttl=50ms`, '5');
    await eventually(async () => expect((await http.get(path)).status).toBe(404));
    expectProblem(await http.post(`${path}/touch`, { ttl: '5s' }), 'KEY_NOT_FOUND');
    expect((await http.get(`/v1/cache/demo?prefix=${key}`)).json()).toMatchObject({ keys: [] });
    expect((await http.post(`${path}/increment`, { delta: '1' })).json()).toMatchObject({ value: '1' });
  });

  test('of the namespace is the default, and its greatest a limit', async () => {
    const { http } = stage();
    const name = `ttl-${Date.now().toString(36)}`;
    const made = await http.request('PUT', `/v1/namespaces/${name}`, {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ defaultTtl: '100s', maxTtl: '200s' }),
    });
    expect(made.status).toBe(201);
    const path = entry(freshKey(), name);
    await http.put(path, 'x');
    expect(await remaining(path)).toBeGreaterThan(90);
    expect((await http.put(`${path}?ttl=200s`, 'x')).status).toBe(204);
    expectProblem(await http.put(`${path}?ttl=201s`, 'x'), 'INVALID_ARGUMENT');
    expectProblem(await http.put(`${path}?ttl=never`, 'x'), 'INVALID_ARGUMENT');
  });
});
