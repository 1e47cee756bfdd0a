import { describe, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { entry } from '../support/http.ts';
import { freshKey, useSharedStage } from '../support/platform.ts';
import { expectProblem } from '../support/problem.ts';

const stage = useSharedStage();

describe('If-None-Match', () => {
  test('* on a write creates once', async () => {
    const { http } = stage();
    const path = entry(freshKey());
    const first = await http.put(path, '1', { 'if-none-match': '*' });
    expect(first.status).toBe(201);
    const second = await http.put(path, '2', { 'if-none-match': '*' });
    expectProblem(second, 'PRECONDITION_FAILED');
    expect(second.version).toBe(first.version);
    expect((await http.get(path)).text).toBe('1');
  });

  test('with a tag on a write is malformed', async () => {
    expectProblem(await stage().http.put(entry(freshKey()), 'x', { 'if-none-match': '"1"' }), 'INVALID_ARGUMENT');
  });

  test('on a read answers 304 with the same fields and no body', async () => {
    const { http } = stage();
    const path = entry(freshKey());
    const { version } = await http.put(path, 'x', { 'content-type': 'text/plain' });
    for (const tags of [`"${version}"`, `W/"${version}"`, `"1", "${version}"`, '*', `"not-ours","${version}"`]) {
      const read = await http.get(path, { 'if-none-match': tags });
      expect([tags, read.status, read.body.length]).toEqual([tags, 304, 0]);
      expect(read.headers).toMatchObject({ etag: `"${version}"`, 'cache-control': 'private, no-cache' });
    }
    expect((await http.get(path, { 'if-none-match': '"1"' })).status).toBe(200);
  });

  test('on a read of nothing is a 404', async () => {
    expect((await stage().http.get(entry(freshKey()), { 'if-none-match': '*' })).status).toBe(404);
  });
});

describe('If-Match', () => {
  test('with the version replaces, with an older one fails and tells the current', async () => {
    const { http } = stage();
    const path = entry(freshKey());
    const { version: first } = await http.put(path, '1');
    const { status, version: second } = await http.put(path, '2', { 'if-match': `"${first}"` });
    expect(status).toBe(204);
    const late = await http.put(path, '3', { 'if-match': `"${first}"` });
    expectProblem(late, 'PRECONDITION_FAILED');
    expect(late.version).toBe(second);
    expect((await http.get(path)).text).toBe('2');
  });

  test('takes a list, and tags that are weak or not ours never match', async () => {
    const { http } = stage();
    const path = entry(freshKey());
    const { version } = await http.put(path, '1');
    expect((await http.put(path, '2', { 'if-match': `"7", "${version}"` })).status).toBe(204);
    const { version: now } = await http.get(path);
    expectProblem(await http.put(path, '3', { 'if-match': `W/"${now}"` }), 'PRECONDITION_FAILED');
    expectProblem(await http.put(path, '3', { 'if-match': '"abc"' }), 'PRECONDITION_FAILED');
    expectProblem(await http.put(path, '3', { 'if-match': `"0${now}"` }), 'PRECONDITION_FAILED');
  });

  test('* needs a live entry; without one there is no tag to tell', async () => {
    const { http } = stage();
    const path = entry(freshKey());
    const failed = await http.put(path, '1', { 'if-match': '*' });
    expectProblem(failed, 'PRECONDITION_FAILED');
    expect(failed.version).toBeUndefined();
    await http.put(path, '1');
    expect((await http.put(path, '2', { 'if-match': '*' })).status).toBe(204);
  });

  test('guards a deletion', async () => {
    const { http } = stage();
    const path = entry(freshKey());
    const { version } = await http.put(path, '1');
    expectProblem(await http.delete(path, { 'if-match': '"1"' }), 'PRECONDITION_FAILED');
    expect((await http.get(path)).status).toBe(200);
    expect((await http.delete(path, { 'if-match': `"${version}"` })).status).toBe(204);
    expectProblem(await http.delete(path, { 'if-match': `"${version}"` }), 'PRECONDITION_FAILED');
  });

  test.each(['1', '"1', '"1" "2"', ',', '*, "1"', "'1'"])('%s is malformed and nothing is done', async (header) => {
    const { http } = stage();
    const path = entry(freshKey());
    expectProblem(await http.put(path, 'x', { 'if-match': header }), 'INVALID_ARGUMENT');
    expect((await http.get(path)).status).toBe(404);
  });

  test('does not hold of an expired entry, whether or not anybody has looked at it since', async () => {
    const { http } = stage();
    // A read would remove it, and so does the sweeper, ten times a second: many entries, and only the last is read.
    const paths = Array.from({ length: 30 }, () => entry(freshKey()));
    const last = paths.at(-1) ?? '';
    const written = await Promise.all(paths.map((path) => http.put(`${path}?ttl=60ms`, '1')));
    await eventually(async () => expect((await http.get(last)).status).toBe(404));
    const answers = await Promise.all(
      paths.map((path, i) => http.put(path, '2', { 'if-match': i % 2 === 0 ? `"${written[i]?.version}"` : '*' })),
    );
    for (const answer of answers) expectProblem(answer, 'PRECONDITION_FAILED');
    expect((await http.put(last, '2', { 'if-none-match': '*' })).status).toBe(201);
  });
});

test('of many writers that hold the same version exactly one wins', async () => {
  const { http } = stage();
  const path = entry(freshKey());
  for (let round = 0; round < 20; round++) {
    const { version } = await http.put(path, 'start');
    const answers = await Promise.all(
      Array.from({ length: 16 }, (_, i) => http.put(path, `writer ${i}`, { 'if-match': `"${version}"` })),
    );
    expect(answers.map(({ status }) => status).toSorted()).toEqual([204, ...Array.from({ length: 15 }, () => 412)]);
    const winner = answers.findIndex(({ status }) => status === 204);
    expect((await http.get(path)).text).toBe(`writer ${winner}`);
  }
});
