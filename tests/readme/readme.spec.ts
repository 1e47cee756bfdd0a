// The console blocks of README.md, run against a platform: each command prints what is shown. "…" stands for anything.
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { driver } from '../support/platform.ts';

const root = resolve(import.meta.dirname, '../..');
const name = `readme-${randomBytes(4).toString('hex')}`;
const readme = readFileSync(join(root, 'README.md'), 'utf8');

type Example = { readonly command: string; readonly output: string };

const examplesIn = (markdown: string): Example[] =>
  [...markdown.matchAll(/^```console\n([\s\S]*?)^```/gm)].flatMap(([, block = '']) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((part) => {
        const [command = '', ...output] = part.split('\n');
        return { command, output: output.join('\n').trim() };
      }),
  );

/** A pattern for shown output: "…" is anything, white space at line ends does not matter. */
const patternOf = (output: string): RegExp =>
  new RegExp(
    `^${output
      .split('…')
      .map((literal) => literal.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/\s+/g, '\\s+'))
      .join('[\\s\\S]*')}\\s*$`,
  );

let platform: ReturnType<typeof spawn> | undefined;
const ports = new Map<string, string>();

beforeAll(async () => {
  const args = ['bin/run.mjs', 'up', '--name', name, '--driver', driver, '--ports', 'free', '--no-keep', '--json'];
  platform = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  if (platform.stdout === null) throw new Error('no output');
  for await (const line of createInterface({ input: platform.stdout })) {
    const status = JSON.parse(line) as {
      ready?: boolean;
      endpoints?: Record<string, string>;
    };
    if (status.ready !== true) continue;
    const endpoint = (route: string): string => status.endpoints?.[route] ?? '';
    ports.set('localhost:8080', endpoint('gateway.http')).set('localhost:8090', endpoint('example.http'));
    break;
  }
}, 180_000);

afterAll(async () => {
  const ended = new Promise((resolve) => platform?.once('exit', resolve));
  platform?.kill('SIGTERM');
  await ended;
}, 30_000);

const run = async (command: string): Promise<string> => {
  let line = command;
  for (const [shown, real] of ports) line = line.replaceAll(shown, real);
  const env = { ...process.env, BIMETAL_NAME: name, NO_COLOR: '1' };
  const options = { cwd: root, env, timeout: 60_000 };
  return (await promisify(execFile)('bash', ['-c', line], options).catch((error: { stdout: string }) => error)).stdout;
};

const examples = examplesIn(readme);

test('there are examples', () => {
  expect(examples.length).toBeGreaterThan(10);
});

test.each(examples)(
  '$command',
  async ({ command, output }) => {
    expect((await run(command)).replaceAll('\r', '')).toMatch(patternOf(output));
  },
  90_000,
);
