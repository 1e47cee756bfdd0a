import { describe, expect, test } from '@jest/globals';
import { entry } from '../support/http.ts';
import { freshKey, useSharedStage } from '../support/platform.ts';
import { expectProblem } from '../support/problem.ts';

const stage = useSharedStage();

describe('a value', () => {
  test('is created with 201, replaced with 204, and read back as it was', async () => {
    const { http } = stage();
    const path = entry(freshKey());
    const created = await http.put(path, '{"a": 1}', { 'content-type': 'application/json' });
    expect([created.status, created.text]).toEqual([201, '']);
    const replaced = await http.put(path, ' {"a":2}\n', { 'content-type': 'application/json; charset=utf-8' });
    expect(replaced.status).toBe(204);
    expect(replaced.version).toBeGreaterThan(created.version ?? 0n);
    const read = await http.get(path);
    expect(read).toMatchObject({ status: 200, text: ' {"a":2}\n', version: replaced.version });
    expect(read.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'private, no-cache',
      'x-content-type-options': 'nosniff',
      'content-security-policy': 'sandbox',
      'cache-status': expect.stringMatching(/hit|fwd/),
    });
    expect(read.headers['content-encoding']).toBeUndefined();
  });

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['a zero byte', Buffer.of(0)],
    ['every byte there is', Buffer.from(Array.from({ length: 256 }, (_, i) => i))],
    ['65,536 bytes', Buffer.alloc(65_536, 'x')],
    ['65,537 bytes', Buffer.alloc(65_537, 'x')],
    ['1 MiB', Buffer.alloc(1_048_576, 0xff)],
  ])('of %s comes back byte for byte', async (_, value) => {
    const { http } = stage();
    const path = entry(freshKey());
    expect((await http.put(path, value)).status).toBe(201);
    const read = await http.get(path);
    expect(read.status).toBe(200);
    expect(read.body.equals(value)).toBe(true);
    expect(read.headers['content-length']).toBe(String(value.length));
  });

  test('without a type is served as application/octet-stream', async () => {
    const { http } = stage();
    const path = entry(freshKey());
    await http.put(path, 'x');
    expect((await http.get(path)).headers['content-type']).toBe('application/octet-stream');
  });

  test('asked for by HEAD has the same fields and no body', async () => {
    const { http } = stage();
    const path = entry(freshKey());
    await http.put(path, 'hello', { 'content-type': 'text/plain' });
    const [get, head] = [await http.get(path), await http.request('HEAD', path)];
    expect([head.status, head.body.length]).toEqual([200, 0]);
    for (const name of ['etag', 'content-type', 'content-length', 'cache-control']) {
      expect([name, head.headers[name]]).toEqual([name, get.headers[name]]);
    }
    expect((await http.request('HEAD', entry(freshKey()))).status).toBe(404);
  });

  test('that is not there is a 404 problem', async () => {
    expectProblem(await stage().http.get(entry(freshKey())), 'KEY_NOT_FOUND');
  });

  test('is deleted with 204, also when it was not there', async () => {
    const { http } = stage();
    const path = entry(freshKey());
    await http.put(path, 'x');
    expect((await http.delete(path)).status).toBe(204);
    expect((await http.get(path)).status).toBe(404);
    expect((await http.delete(path)).status).toBe(204);
  });

  test('of more than 1 MiB is refused and nothing is stored', async () => {
    const { http } = stage();
    const path = entry(freshKey());
    expectProblem(await http.put(path, Buffer.alloc(1_048_577)), 'VALUE_TOO_LARGE');
    expect((await http.get(path)).status).toBe(404);
  });

  test('that is content-coded is refused', async () => {
    const { http } = stage();
    const path = entry(freshKey());
    expectProblem(await http.put(path, 'x', { 'content-encoding': 'gzip' }), 'UNSUPPORTED_MEDIA_TYPE');
    expect((await http.get(path)).status).toBe(404);
  });
});

describe('a key', () => {
  test.each([
    ['a slash', 'a%2Fb', Buffer.from('a/b')],
    ['a plus, which is a plus', 'a+b', Buffer.from('a+b')],
    ['an escaped percent sign, decoded once', 'a%2541', Buffer.from('a%41')],
    ['a zero byte', 'a%00b', Buffer.from('a\0b')],
    ['bytes that are not UTF-8', '%FF%FE', Buffer.of(0xff, 0xfe)],
    ['lower case escapes', '%e2%82%ac', Buffer.from('€')],
    ['a question mark', 'a%3Fb', Buffer.from('a?b')],
    ['three dots', '...', Buffer.from('...')],
    ['escaped dots in a longer name', 'x%2E%2E', Buffer.from('x..')],
  ])('with %s is that key and no other', async (_, segment, bytes) => {
    const { http, cache } = stage();
    const value = freshKey('value');
    expect((await http.put(`/v1/cache/demo/${segment}`, value)).status).toBeLessThan(300);
    const { entry: found } = await cache.get({ namespace: 'demo', key: bytes });
    expect(found?.value.toString()).toBe(value);
    expect((await http.get(`/v1/cache/demo/${segment}`)).text).toBe(value);
  });

  test('of 1,024 bytes is the longest', async () => {
    const { http } = stage();
    expect((await http.put(`/v1/cache/demo/${'k'.repeat(1_024)}`, 'x')).status).toBeLessThan(300);
    expect((await http.put(`/v1/cache/demo/${'%ff'.repeat(1_024)}`, 'x')).status).toBeLessThan(300);
    const problem = expectProblem(await http.put(`/v1/cache/demo/${'k'.repeat(1_025)}`, 'x'), 'INVALID_ARGUMENT');
    expect(JSON.stringify(problem)).toContain('key');
  });

  test.each(['%', '%4', '%zz', 'a%-1'])('with the invalid escape %s is refused', async (segment) => {
    // Go's server refuses such a target itself, with its own bare 400: it is not HTTP.
    expect((await stage().http.get(`/v1/cache/demo/${segment}`)).status).toBe(400);
  });

  test.each(['.', '..', '%2e', '%2E%2e'])('"%s" cannot be written in a path', async (segment) => {
    const answer = await stage().http.put(`/v1/cache/demo/${segment}`, 'x');
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
  });
});

describe('what is asked for in a wrong way', () => {
  test('an unknown path is ROUTE_NOT_FOUND, without a redirect', async () => {
    const { http } = stage();
    for (const path of ['/', '/v1', '/v1/cache', '/v1//cache/demo/x', '/V1/cache/demo/x', '/v1/cache/demo/a/b/c']) {
      expectProblem(await http.get(path), 'ROUTE_NOT_FOUND');
    }
  });

  test('a method that the route does not take is METHOD_NOT_ALLOWED and says which it takes', async () => {
    const answer = await stage().http.post(entry('x'), {});
    expectProblem(answer, 'METHOD_NOT_ALLOWED');
    expect(answer.headers['allow']?.split(/, ?/).toSorted()).toEqual(['DELETE', 'GET', 'HEAD', 'PUT']);
  });

  test('a namespace that does not exist is NAMESPACE_NOT_FOUND, for reads and writes', async () => {
    const { http } = stage();
    expectProblem(await http.get(entry('x', 'nobody')), 'NAMESPACE_NOT_FOUND');
    expectProblem(await http.put(entry('x', 'nobody'), 'x'), 'NAMESPACE_NOT_FOUND');
  });

  test('a namespace with a name that cannot be is INVALID_ARGUMENT', async () => {
    expectProblem(await stage().http.get(entry('x', 'No')), 'INVALID_ARGUMENT');
  });

  test.each(['0', '-1', '61', 'soon', '1e3', '0.0001', ''])(
    'Request-Timeout "%s" is INVALID_ARGUMENT',
    async (timeout) => {
      expectProblem(await stage().http.get(entry('x'), { 'request-timeout': timeout }), 'INVALID_ARGUMENT');
    },
  );

  test('a Host that is neither loopback nor configured is refused', async () => {
    const answer = await stage().http.get(entry('x'), { host: 'evil.example' });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expectProblem(answer, 'PERMISSION_DENIED');
  });

  test('a foreign Origin or a cross-site fetch is refused', async () => {
    const { http } = stage();
    expectProblem(await http.put(entry('x'), 'x', { origin: 'https://evil.example' }), 'PERMISSION_DENIED');
    expectProblem(await http.get(entry('x'), { 'sec-fetch-site': 'cross-site' }), 'PERMISSION_DENIED');
  });
});
