import { describe, expect, test } from '@jest/globals';
import { entry } from '../support/http.ts';
import { freshKey, useSharedStage } from '../support/platform.ts';
import { expectProblem } from '../support/problem.ts';

const stage = useSharedStage();
const path = '/v1/cache/demo';

type Result = {
  status: number;
  etag?: string;
  reason?: string;
  value?: unknown;
  valueBase64?: string;
  [field: string]: unknown;
};

const batch = async (...operations: object[]): Promise<Result[]> => {
  const answer = await stage().http.post(path, { operations });
  expect([answer.status, answer.text]).toEqual([200, expect.any(String)]);
  return (answer.json() as { results: Result[] }).results;
};

describe('a batch', () => {
  test('answers every operation in its place, with the status it would have alone', async () => {
    const [there, absent] = [freshKey(), freshKey()];
    await stage().http.put(entry(there), '{"a":1}', { 'content-type': 'application/json' });
    const results = await batch(
      { get: { key: there } },
      { get: { key: absent } },
      { put: { key: freshKey(), value: { b: [1, 2] } } },
      { delete: { key: there } },
      { increment: { key: freshKey(), delta: '3' } },
      { touch: { key: absent, ttl: '5s' } },
    );
    expect(results.map(({ status }) => status)).toEqual([200, 404, 201, 204, 200, 404]);
    expect(results[0]).toMatchObject({ value: { a: 1 }, etag: expect.stringMatching(/^"\d+"$/) });
    expect(results[4]).toMatchObject({ value: '3' });
  });

  test('does the operations on one key in order', async () => {
    const key = freshKey();
    const operations = Array.from({ length: 50 }, (_, i) => [{ put: { key, value: i } }, { get: { key } }]).flat();
    const results = await batch(...operations);
    const read = results.filter((_, i) => i % 2 === 1).map(({ value }) => value);
    expect(read).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });

  test('splices stored JSON as it is and gives everything else as base64', async () => {
    const { http } = stage();
    const values: [string, string | Buffer, Partial<Result>][] = [
      ['application/json', '{"big":9007199254740993.10,"s":"\\u00e4"}', {}],
      ['application/problem+json', '[1 , 2]', {}],
      ['application/json', '{"cut":', { valueBase64: Buffer.from('{"cut":').toString('base64') }],
      ['application/json', '1 2', { valueBase64: Buffer.from('1 2').toString('base64') }],
      ['application/json', '', { valueBase64: '' }],
      [
        'application/json',
        Buffer.from('"\xff"', 'latin1'),
        { valueBase64: Buffer.from('"\xff"', 'latin1').toString('base64') },
      ],
      ['text/plain', '{"a":1}', { valueBase64: Buffer.from('{"a":1}').toString('base64') }],
    ];
    const keys = await Promise.all(
      values.map(async ([type, value]) => {
        const key = freshKey();
        await http.put(entry(key), value, { 'content-type': type });
        return key;
      }),
    );
    const answer = await http.post(path, { operations: keys.map((key) => ({ get: { key } })) });
    expect(answer.text).toContain('{"big":9007199254740993.10,"s":"\\u00e4"}');
    expect(answer.text).toContain('[1 , 2]');
    const { results } = answer.json() as { results: Result[] };
    for (const [i, [, , expected]] of values.entries()) expect(results[i]).toMatchObject({ status: 200, ...expected });
  });

  test('takes keys percent-encoded, as in a path', async () => {
    const results = await batch({ put: { key: 'a%2Fb%FF', value: 1 } }, { get: { key: 'a%2Fb%FF' } });
    expect(results.map(({ status }) => status)).toEqual([expect.any(Number), 200]);
    const { entry: found } = await stage().cache.get({ namespace: 'demo', key: Buffer.from('a/b\xff', 'latin1') });
    expect(found?.value.toString()).toBe('1');
  });

  test('stores bytes that are given as base64 with their type', async () => {
    const key = freshKey();
    const bytes = Buffer.from([0, 255, 1]);
    await batch({ put: { key, valueBase64: bytes.toString('base64'), contentType: 'image/x-test' } });
    const read = await stage().http.get(entry(key));
    expect(read.body.equals(bytes)).toBe(true);
    expect(read.headers['content-type']).toBe('image/x-test');
  });

  test.each([
    ['not JSON', '{'],
    ['no operations', '{}'],
    ['an unknown operation', '{"operations":[{"put":{"key":"never","value":1}},{"steal":{"key":"x"}}]}'],
    ['two operations in one', '{"operations":[{"get":{"key":"x"},"delete":{"key":"x"}}]}'],
    ['an unknown field', '{"operations":[{"put":{"key":"never","value":1}},{"get":{"key":"x","colour":1}}]}'],
    ['an invalid escape in a key', '{"operations":[{"put":{"key":"never","value":1}},{"get":{"key":"%zz"}}]}'],
    ['something behind the end', '{"operations":[]} {}'],
    [
      '1,001 operations',
      JSON.stringify({ operations: Array.from({ length: 1_001 }, () => ({ put: { key: 'never', value: 1 } })) }),
    ],
  ])('with %s is refused as a whole and nothing is done', async (_, body) => {
    const { http } = stage();
    const answer = await http.request('POST', path, { headers: { 'content-type': 'application/json' }, body });
    expect([answer.status, answer.headers['content-type']]).toEqual([400, expect.stringContaining('problem+json')]);
    expect((await http.get(entry('never'))).status).toBe(404);
  });

  test('with another content type is refused', async () => {
    const answer = await stage().http.request('POST', path, { headers: { 'content-type': 'text/plain' }, body: '{}' });
    expectProblem(answer, 'UNSUPPORTED_MEDIA_TYPE');
  });
});
