// Renames a copy of this checkout and builds all three languages of it.
import { execFile } from 'node:child_process';
import { appendFile, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { copyCheckout } from '../../orchestrator/src/testing/checkout-copy.ts';
import { unoptimised } from '../../orchestrator/src/testing/unoptimised.ts';

const root = resolve(import.meta.dirname, '../..');
const run = promisify(execFile);
let copy: string;

const inCopy = (program: string, ...args: string[]): Promise<{ stdout: string }> =>
  run(program, args, {
    cwd: copy,
    // Dependencies are compiled once for both.
    env: { ...process.env, CARGO_TARGET_DIR: join(root, 'target'), GIT_CONFIG_GLOBAL: '/dev/null' },
    maxBuffer: 64 * 1024 * 1024,
  });

const git = (...args: string[]): Promise<{ stdout: string }> =>
  inCopy('git', '-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args);

beforeAll(async () => {
  copy = await copyCheckout('rename-');
  await git('init', '--quiet');
  // A link is no folder for .gitignore.
  await appendFile(join(copy, '.git/info/exclude'), 'node_modules\n');
  await git('add', '--all');
  await git('commit', '--quiet', '--message', 'A copy');
  await inCopy(process.execPath, 'tools/rename/rename.ts', 'acme');
}, 120_000);

afterAll(() => rm(copy, { recursive: true, force: true }));

test('nothing of the former name is left', async () => {
  const { stdout } = await git('ls-files', '--cached', '--others', '--exclude-standard');
  expect(stdout.split('\n').filter((file) => /bimetal/i.test(file))).toEqual(
    (await git('ls-files', '--deleted')).stdout.split('\n').filter((file) => /bimetal/i.test(file)),
  );
  const found = await git('grep', '--untracked', '-liE', 'bimetal').catch(
    (error: { code: number; stdout: string }) => error,
  );
  expect(found.stdout.trim()).toBe('');
  const manifest = JSON.parse(await readFile(join(copy, 'package.json'), 'utf8')) as { name: string };
  expect(manifest.name).toBe('acme');
});

test('the contract is generated anew, and its check finds no difference', async () => {
  await inCopy(process.execPath, 'contract/generator/main.ts', '--check');
}, 60_000);

test('TypeScript type-checks', async () => {
  await inCopy(process.execPath, 'node_modules/typescript/bin/tsc', '--noEmit');
}, 60_000);

test('Go builds', async () => {
  await inCopy('go', 'build', '-o', 'build/bin/acme-gateway', './gateway-go/cmd/gateway');
}, 180_000);

test('Rust builds', async () => {
  const quickly = unoptimised('acme-contract', 'acme-engine', 'acme-cache');
  await inCopy('cargo', 'build', '--quiet', '--offline', '--package', 'acme-cache', ...quickly);
}, 300_000);
