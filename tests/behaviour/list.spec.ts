import { expect, test } from '@jest/globals';
import { entry } from '../support/http.ts';
import { freshKey, useSharedStage } from '../support/platform.ts';
import { expectProblem } from '../support/problem.ts';

const stage = useSharedStage();

type Page = { keys: string[]; nextPageToken?: string };

const listAll = async (prefix: string, pageSize: number): Promise<string[]> => {
  const keys: string[] = [];
  let token = '';
  for (let pages = 0; pages < 10_000; pages++) {
    const query = `prefix=${prefix}&pageSize=${pageSize}&pageToken=${encodeURIComponent(token)}`;
    const answer = await stage().http.get(`/v1/cache/demo?${query}`);
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', vary: expect.stringMatching(/accept/i) });
    const page = answer.json() as Page;
    keys.push(...page.keys);
    token = page.nextPageToken ?? '';
    if (token === '') return keys;
  }
  throw new Error('the listing does not end');
};

test('a listing has every key of the prefix, on all nodes, exactly once', async () => {
  const { http } = stage();
  const prefix = freshKey('list');
  const keys = Array.from({ length: 500 }, (_, i) => `${prefix}-${i}`);
  await Promise.all(keys.map((key) => http.put(entry(key), 'x')));
  await http.put(entry('another'), 'x');
  for (const pageSize of [1_000, 100, 7]) {
    expect((await listAll(prefix, pageSize)).toSorted()).toEqual(keys.toSorted());
  }
});

test('a key stands in a listing as its percent-encoded segment', async () => {
  const { http } = stage();
  const prefix = freshKey('odd');
  await http.put(`/v1/cache/demo/${prefix}%2F%FF`, 'x');
  expect((await listAll(prefix, 10)).map((key) => key.toUpperCase())).toEqual([`${prefix}%2F%FF`.toUpperCase()]);
});

test('a key that is there throughout is seen while others come and go', async () => {
  const { http } = stage();
  const prefix = freshKey('churn');
  const staying = Array.from({ length: 300 }, (_, i) => `${prefix}-stay-${i}`);
  await Promise.all(staying.map((key) => http.put(entry(key), 'x')));
  let running = true;
  const churn = (async () => {
    for (let i = 0; running; i++) {
      await http.put(entry(`${prefix}-go-${i}`), 'x');
      if (i >= 20) await http.delete(entry(`${prefix}-go-${i - 20}`));
    }
  })();
  const seen = new Set(await listAll(prefix, 20));
  running = false;
  await churn;
  expect(staying.filter((key) => !seen.has(key))).toEqual([]);
});

test.each(['pageSize=0', 'pageSize=10001', 'pageSize=x', 'pageToken=x', 'prefix=%zz', 'colour=red'])(
  '"%s" is refused',
  async (query) => {
    expectProblem(await stage().http.get(`/v1/cache/demo?${query}`), 'INVALID_ARGUMENT');
  },
);
