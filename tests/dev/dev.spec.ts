// `./bimetal dev`, on a copy of this checkout: what is saved there is built and replaces what runs, while requests go
// through. The nodes are those of this checkout: to compile them once more would prove nothing else.
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startLoad } from '../../orchestrator/src/index.ts';
import { copyCheckout } from '../../orchestrator/src/testing/checkout-copy.ts';
import { Command, freshName } from '../../orchestrator/src/testing/cli.ts';
import { temporaryFolder } from '../../orchestrator/src/testing/temporary-folder.ts';

const root = resolve(import.meta.dirname, '../..');
const target = process.env['CARGO_TARGET_DIR'] ?? join(root, 'target');
/** The loop looks at everything once in two seconds: whatever it would do again, it has done by then. */
const quietMs = 2500;

let copy: string;
let dev: Command;
let load: ReturnType<typeof startLoad>;
let endpoints: Readonly<Record<string, string>>;

beforeAll(async () => {
  copy = await copyCheckout('dev-');
  const change = join(temporaryFolder(), 'change.json');
  await writeFile(change, JSON.stringify({ services: { cache: { command: [join(target, 'debug/bimetal-cache')] } } }));
  const args = ['--driver', 'process', '--ports', 'free', '--name', freshName(), '--no-keep', '--change', change];
  dev = new Command(['dev', '--json', ...args], {}, copy);
  await dev.says('Watching the sources', 120_000);
  endpoints = (JSON.parse(dev.stdout.split('\n')[0] ?? '') as { endpoints: typeof endpoints }).endpoints;
  load = startLoad({ urls: [`http://${endpoints['gateway.http']}`], rate: 100, keys: 100 });
  await load.ready;
}, 180_000);

afterAll(async () => {
  await load?.stop();
  dev?.process.kill('SIGTERM');
  await dev?.ended;
  await rm(copy, { recursive: true, force: true });
}, 30_000);

/** Saves a file with one text in place of another. */
const edit = async (file: string, from: string, to: string): Promise<void> => {
  const path = join(copy, file);
  const before = await readFile(path, 'utf8');
  if (before.split(from).length !== 2) throw new Error(`"${from}" does not stand once in ${file}`);
  await writeFile(path, before.replace(from, to));
};

/** What was said from the save on, until all of the awaited was, and for so long after it. */
const saidAfter = async (save: () => Promise<void>, awaited: readonly string[], afterMs = 0): Promise<string> => {
  const begin = dev.stdout.length;
  await save();
  const deadline = Date.now() + 60_000;
  while (!awaited.every((text) => dev.stdout.includes(text, begin))) {
    if (Date.now() > deadline) throw new Error(`${awaited.join(', ')}: not said:\n${dev.stdout.slice(begin)}`);
    await sleep(20);
  }
  await sleep(afterMs);
  return dev.stdout.slice(begin);
};

const timesIn = (text: string, part: string): number => text.split(part).length - 1;

const example = 'services/example-ts/src/app.ts';
const visit = async (): Promise<string> =>
  (await fetch(`http://${endpoints['example.http']}/visits/dev`, { method: 'POST' })).text();

test('an edit serves', async () => {
  const save = () => edit(example, 'return { page:', 'return { edited: 1, page:');
  await saidAfter(save, ['example serves the change']);
  expect(await visit()).toContain('"edited":1');
}, 90_000);

test('a hundred saves are one change, and the last of them is served', async () => {
  const save = async (): Promise<void> => {
    for (let i = 1; i <= 100; i += 1) {
      await edit(example, `edited: ${i},`, `edited: ${i + 1},`);
      await sleep(5);
    }
  };
  const said = await saidAfter(save, ['example serves the change'], quietMs);
  expect(timesIn(said, 'example serves the change')).toBe(1);
  expect(await visit()).toContain('"edited":101');
}, 90_000);

test('a build that fails shows its errors once, in full, and what ran goes on; mended, it serves', async () => {
  const file = 'gateway-go/internal/health/health.go';
  const readiness = async (): Promise<string> => (await fetch(`http://${endpoints['gateway.admin']}/readyz`)).text();
  const failed = await saidAfter(() => edit(file, '= "ready"', '= readines'), ['What ran before goes on.'], quietMs);
  expect(timesIn(failed, 'What ran before goes on.')).toBe(1);
  expect(timesIn(failed, 'undefined: readines')).toBe(1);
  expect(await readiness()).toContain('"ready"');
  await saidAfter(() => edit(file, '= readines', '= "readier"'), ['gateway serves the change']);
  expect(await readiness()).toContain('"readier"');
}, 90_000);

test("a breaking contract edit is refused in the comparison's words, and nothing is replaced", async () => {
  const file = 'proto/bimetal/cache/v1/operations.proto';
  const [field, broken] = [
    '  bool created = 2;\n  // The entry that was',
    '  string created = 2;\n  // The entry that was',
  ];
  const said = await saidAfter(() => edit(file, field, broken), ['the contract edit is refused'], quietMs);
  expect(said).toMatch(
    /operations\.proto:\d+:\d+:Field .{1,20}created.* changed type from .{1,20}bool.* to .{1,20}string/,
  );
  const back = await saidAfter(() => edit(file, broken, field), ['"msg":"contract: '], quietMs);
  expect(said + back).not.toContain('serves the change');
}, 90_000);

test('a contract edit that only adds is generated for all languages, and served by whoever speaks it', async () => {
  const file = 'proto/bimetal/control/v1/control_service.proto';
  const save = () => edit(file, 'message DrainRequest {', 'message DrainRequest {\n  // Why.\n  string reason = 9;');
  await saidAfter(save, ['gateway serves the change', 'example serves the change']);
  for (const made of [
    'go/gen/bimetal/control/v1/control_service.pb.go',
    'ts/gen/bimetal/control/v1/control_service.ts',
  ]) {
    expect(await readFile(join(copy, 'contract', made), 'utf8')).toMatch(/reason/i);
  }
}, 120_000);

test('no request has failed, and nothing was lost', async () => {
  const { sent, failed, lost, stale, wrong } = await load.stop();
  const none = expect.objectContaining({ total: 0 });
  expect({ failed, lost, stale, wrong }).toEqual({ failed: none, lost: none, stale: none, wrong: none });
  expect(sent).toBeGreaterThan(1000);
}, 30_000);
