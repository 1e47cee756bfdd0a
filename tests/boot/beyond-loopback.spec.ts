// A process that asks nobody who they are does not listen beyond loopback, unless somebody says that it may.
import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { expect, test } from '@jest/globals';

const root = resolve(import.meta.dirname, '../..');
const topology = JSON.stringify({ epoch: '1', nodes: [{ name: 'cache-0', tag: 1, address: '127.0.0.1:1' }] });

type Service = {
  readonly command: readonly [string, ...string[]];
  /** Its listeners by the names of their settings. */
  readonly listeners: readonly string[];
  readonly settings?: Readonly<Record<string, string>>;
};

const services: Readonly<Record<string, Service>> = {
  node: { command: [join(root, 'target/debug/bimetal-cache')], listeners: ['GRPC_LISTEN', 'ADMIN_LISTEN'] },
  gateway: {
    command: [join(root, 'build/bin/bimetal-gateway')],
    listeners: ['LISTEN', 'ADMIN_LISTEN'],
    settings: { TOPOLOGY: topology },
  },
  edge: { command: [join(root, 'build/bin/bimetal-edge')], listeners: ['ADMIN_LISTEN'] },
  'status page': {
    command: [process.execPath, join(root, 'orchestrator/src/cli/main.ts'), 'observe'],
    listeners: ['LISTEN'],
    settings: { OBSERVE: 'cache-0=http://127.0.0.1:1' },
  },
  example: {
    command: [process.execPath, join(root, 'services/example-ts/src/main.ts')],
    listeners: ['LISTEN'],
    settings: { TOPOLOGY: topology },
  },
};

type Start = { readonly code: number | null; readonly output: string; readonly listens: boolean };

/** Starts it, and ends it once it listens. */
const start = (
  { command: [program, ...args], listeners, settings }: Service,
  open: string,
  address: string,
  more: Readonly<Record<string, string>> = {},
): Promise<Start> => {
  const addresses = Object.fromEntries(listeners.map((name) => [name, name === open ? address : '127.0.0.1:0']));
  const own = Object.entries({ ...addresses, ...settings, ...more }).map(([name, value]) => [`BIMETAL_${name}`, value]);
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('BIMETAL_'));
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: Object.fromEntries([...inherited, ...own]),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    let listens = false;
    const read = (chunk: Buffer): void => {
      output += chunk.toString();
      if (!listens && output.includes('listening')) {
        listens = true;
        child.kill('SIGKILL');
      }
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.on('error', reject);
    child.on('exit', (code) => resolve({ code, output, listens }));
  });
};

const cases = Object.entries(services).flatMap(([name, service]) =>
  service.listeners.flatMap((listener) =>
    ['0.0.0.0:0', '[::]:0'].map((address) => ({ name, service, listener, address })),
  ),
);

test.each(cases)('$name does not start with $listener at $address', async ({ service, listener, address }) => {
  const { code, output, listens } = await start(service, listener, address);
  expect({ code, listens }).toEqual({ code: 2, listens: false });
  expect(output.toLowerCase()).toMatch(/loopback/);
  expect(output).toMatch(/allow[-_]unauthenticated/i);
  expect(output.toLowerCase().replaceAll('-', '_')).toContain(listener.toLowerCase());
});

test.each(cases)('$name starts with $listener at $address when it may', async ({ service, listener, address }) => {
  const { listens, output } = await start(service, listener, address, { ALLOW_UNAUTHENTICATED: 'true' });
  expect([listens, output]).toEqual([true, output]);
});
