// Real JSON documents go in through HTTP and come out byte for byte through HTTP and gRPC, read by Go, Rust and
// TypeScript. The documents are those of the Unicode CLDR as published on npm.
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { entry } from '../support/http.ts';
import { freshName, useSharedStage } from '../support/platform.ts';

const root = resolve(import.meta.dirname, '../..');
const corpus = join(root, 'node_modules/cldr-misc-full/main');
const namespace = freshName('documents');
// Hooks run in the order of their definition: this one needs the stage.
afterAll(() => stage().http.delete(`/v1/namespaces/${namespace}`));
const stage = useSharedStage();

const documents = readdirSync(corpus, { recursive: true, withFileTypes: true })
  .filter((file) => file.isFile() && file.name.endsWith('.json'))
  .map((file) => join(file.parentPath, file.name))
  .map((file) => ({ key: file.slice(corpus.length + 1), value: readFileSync(file) }));

const sha256 = (value: Buffer): string => createHash('sha256').update(value).digest('hex');
const expected = new Map(documents.map(({ key, value }) => [key, sha256(value)]));

/** Runs `work` on all items, so many at a time. */
const inParallel = async <Item>(
  items: readonly Item[],
  width: number,
  work: (item: Item) => Promise<void>,
): Promise<void> => {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of queue) await work(item);
    }),
  );
};

type Line = { key: string; http: string; grpc: string };

const readWith = async (program: string): Promise<Line[]> => {
  const { platform } = stage();
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(
    JSON.stringify({
      gatewayUrl: platform.instance('gateway-0').url('http'),
      nodes: platform.clientTopology.nodes,
      namespace,
      keys: documents.map(({ key }) => key),
    }),
  );
  const lines = await text(child.stdout);
  return lines
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
};

const expectAll = (lines: readonly Line[]): void => {
  expect(lines.length).toBe(documents.length);
  const wrong = lines.filter(({ key, http, grpc }) => http !== expected.get(key) || grpc !== expected.get(key));
  expect(wrong).toEqual([]);
};

beforeAll(async () => {
  const { http } = stage();
  await http.request('PUT', `/v1/namespaces/${namespace}`, {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ quotaBytes: String(200 * 1024 * 1024) }),
  });
  await inParallel(documents, 32, async ({ key, value }) => {
    const { status } = await http.put(entry(key, namespace), value, { 'content-type': 'application/json' });
    if (status !== 201) throw new Error(`storing ${key}: ${status}`);
  });
}, 120_000);

test('there are at least 5,000 documents', () => {
  expect(documents.length).toBeGreaterThanOrEqual(5_000);
});

test('TypeScript reads what was stored, by HTTP and by gRPC', async () => {
  const { http, cache } = stage();
  const lines: Line[] = [];
  await inParallel(documents, 32, async ({ key }) => {
    const read = await http.get(entry(key, namespace));
    const { entry: found } = await cache.get({ namespace, key: Buffer.from(key) });
    lines.push({ key, http: sha256(read.body), grpc: found === undefined ? 'none' : sha256(found.value) });
  });
  expectAll(lines);
}, 120_000);

test('Go reads what was stored, by HTTP and by gRPC', async () => {
  const program = join(root, 'build/bin/bimetal-reader-go');
  const env = { ...process.env, GOWORK: 'off' };
  await promisify(execFile)('go', ['build', '-o', program, '.'], { cwd: join(root, 'tests/clients/go'), env });
  expectAll(await readWith(program));
}, 300_000);

test('Rust reads what was stored, by HTTP and by gRPC', async () => {
  await promisify(execFile)('cargo', ['build', '--quiet', '--locked', '-p', 'bimetal-reader'], { cwd: root });
  expectAll(await readWith(join(root, 'target/debug/bimetal-reader')));
}, 600_000);
