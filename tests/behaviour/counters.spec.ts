import { expect, test } from '@jest/globals';
import { entry } from '../support/http.ts';
import { freshKey, useSharedStage } from '../support/platform.ts';
import { expectProblem } from '../support/problem.ts';

const stage = useSharedStage();

const max = '9223372036854775807';
const min = '-9223372036854775808';

test('a counter begins at its initial value and adds', async () => {
  const { http } = stage();
  const path = entry(freshKey());
  expect((await http.post(`${path}/increment`, { delta: '5', initial: '100', ttl: '60s' })).json()).toMatchObject({
    value: '105',
  });
  expect((await http.post(`${path}/increment`, { delta: '-6' })).json()).toMatchObject({
    value: '99',
    version: expect.stringMatching(/^\d+$/),
  });
  const read = await http.get(path);
  expect([read.text, read.headers['content-type']]).toEqual(['99', 'text/plain']);
  expect(read.headers['cache-status']).toMatch(/ttl=(60|59|58)/);
});

test('a counter reaches both ends of 64 bits and does not go beyond them', async () => {
  const { http } = stage();
  const path = entry(freshKey());
  expect((await http.post(`${path}/increment`, { delta: max })).json()).toMatchObject({ value: max });
  expectProblem(await http.post(`${path}/increment`, { delta: '1' }), 'INTEGER_OVERFLOW');
  expect((await http.get(path)).text).toBe(max);
  await http.put(path, min);
  expect((await http.post(`${path}/increment`, { delta: '0' })).json()).toMatchObject({ value: min });
  expectProblem(await http.post(`${path}/increment`, { delta: '-1' }), 'INTEGER_OVERFLOW');
});

test.each(['', ' 1', '+1', '01', '-0', '1.0', 'one', '9223372036854775808', '1\n'])(
  'the value "%s" is not an integer and stays',
  async (value) => {
    const { http } = stage();
    const path = entry(freshKey());
    await http.put(path, value);
    expectProblem(await http.post(`${path}/increment`, { delta: '1' }), 'NOT_AN_INTEGER');
    expect((await http.get(path)).text).toBe(value);
  },
);

test.each([
  { delta: '9223372036854775808' },
  { delta: 'x' },
  { delta: '1', unknown: 1 },
  { delta: '1', ttl: '0s' },
  { delta: true },
  { delta: null },
  { delta: '01' },
  { delta: 1.5 },
  { delta: '1', initial: null },
  { delta: '1', ttl: null },
  { delta: '1', renewTtl: null },
  { Delta: '1' },
  {},
])('the body %j is refused and nothing is done', async (body) => {
  const path = entry(freshKey());
  expectProblem(await stage().http.post(`${path}/increment`, body), 'INVALID_ARGUMENT');
  expect((await stage().http.get(path)).status).toBe(404);
});

test('a body that is not JSON is malformed', async () => {
  const answer = await stage().http.request('POST', `${entry(freshKey())}/increment`, {
    headers: { 'content-type': 'application/json' },
    body: '{"delta":',
  });
  expectProblem(answer, 'MALFORMED_BODY');
});

test('increments of many callers at once are all counted', async () => {
  const { http } = stage();
  const path = entry(freshKey());
  await Promise.all(Array.from({ length: 500 }, () => http.post(`${path}/increment`, { delta: '1' })));
  expect((await http.get(path)).text).toBe('500');
});
