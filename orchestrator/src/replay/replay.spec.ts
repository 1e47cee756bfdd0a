import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { zstdCompress } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ExactLru } from './lru.ts';
import { isValueOf, pageValue } from './page.ts';
import { readTrace, TraceFormatError } from './trace.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bimetal-trace-'));
});
afterAll(() => rm(folder, { recursive: true }));

const fileOf = async (name: string, content: string | Buffer): Promise<string> => {
  await writeFile(join(folder, name), content);
  return join(folder, name);
};

const pagesOf = async (file: string): Promise<number[]> => {
  const pages: number[] = [];
  for await (const page of readTrace(file)) pages.push(page);
  return pages;
};

describe('a trace', () => {
  test('gives COUNT pages from START, line by line', async () => {
    expect(await pagesOf(await fileOf('a.lis', '1 3 0 0\n10 1 0 1\r\n\n2 0 0 2\n'))).toEqual([1, 2, 3, 10]);
  });

  test('may be compressed', async () => {
    const compressed = await promisify(zstdCompress)(Buffer.from('5 2 0 0\n'));
    expect(await pagesOf(await fileOf('a.lis.zst', compressed))).toEqual([5, 6]);
  });

  test('that is malformed is refused with file and line', async () => {
    const file = await fileOf('bad.lis', '1 1 0 0\n1 one 0 0\n');
    await expect(pagesOf(file)).rejects.toThrow(
      new TraceFormatError(`${file}:2: expected "START COUNT IGNORED REQUEST", found "1 one 0 0"`),
    );
  });

  test('that is not there is an error, not an empty trace', async () => {
    await expect(pagesOf(join(folder, 'none.lis.zst'))).rejects.toThrow('ENOENT');
  });

  test('of our own is what its generator makes', async () => {
    const shipped = await readFile(join(import.meta.dirname, '../../../traces/small.lis'), 'utf8');
    const { execFileSync } = await import('node:child_process');
    expect(execFileSync(process.execPath, [join(import.meta.dirname, 'generate.ts')], { encoding: 'utf8' })).toBe(
      shipped,
    );
  });
});

test('an exact LRU drops what was used longest ago', () => {
  const lru = new ExactLru(2);
  for (const page of [1, 2, 1, 3, 1, 2]) lru.refer(page);
  // 1 miss, 2 miss, 1 hit, 3 miss (drops 2), 1 hit, 2 miss
  expect([lru.hits, lru.misses]).toEqual([2, 4]);
});

test('a value has exactly its size, is JSON, and is told from that of another page', () => {
  const value = pageValue(7, 256);
  expect(Buffer.byteLength(value)).toBe(256);
  expect(() => JSON.parse(value)).not.toThrow();
  expect([isValueOf(7, value), isValueOf(70, value)]).toEqual([true, false]);
});
