import { randomBytes } from 'node:crypto';
import { setTimeout as delayed } from 'node:timers/promises';
import type { Platform } from '../../platform/platform.ts';
import { startPlatform } from '../../platform/start.ts';
import { findRun } from '../../run/run-file.ts';
import { engineLeftovers } from '../../testing/leftovers.ts';
import { isReady } from '../health.ts';

// `./bimetal test` runs this file with the suites of the container driver.
const name = `spec-${randomBytes(4).toString('hex')}`;
let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform({ name, driver: 'container', ports: 'free' });
}, 600_000);

afterAll(() => platform?.stop(), 60_000);

test('every instance of the compose file is ready, with its logs', () => {
  expect(platform.instances.map((instance) => [instance.name, instance.state])).toEqual([
    ['edge-0', 'ready'],
    ['cache-0', 'ready'],
    ['cache-1', 'ready'],
    ['gateway-0', 'ready'],
    ['example-0', 'ready'],
  ]);
  for (const instance of platform.instances) expect(instance.logs()[0]?.msg).toBe('listening');
});

test('a killed node comes back at its address', async () => {
  const node = platform.instance('cache-0');
  const address = node.address('admin');
  await node.kill();
  expect(await isReady(node.probeUrl)).toBe(false);
  await node.start();
  expect([node.state, node.address('admin')]).toEqual(['ready', address]);
}, 60_000);

test('a paused node answers nothing until it is resumed', async () => {
  const node = platform.instance('cache-1');
  await node.pause();
  expect(await isReady(node.probeUrl, 300)).toBe(false);
  await node.resume();
  expect(await isReady(node.probeUrl)).toBe(true);
}, 60_000);

test('a node that ends by itself is failed', async () => {
  const node = platform.instance('cache-1');
  const { execFileSync } = await import('node:child_process');
  execFileSync('docker', ['kill', `bimetal-${name}-cache-1-1`]);
  await node.whenState('failed');
  await node.start();
}, 60_000);

test('nothing is left when it is over', async () => {
  await platform.stop();
  expect(engineLeftovers(`bimetal-${name}`)).toEqual([]);
  expect(findRun(name)).toBeUndefined();
}, 60_000);

/** Milliseconds after the containers begin to be started. */
test.each([0, 400])(
  'a start that is given up %d ms after its beginning leaves nothing',
  async (ms) => {
    const given = `spec-${randomBytes(4).toString('hex')}`;
    const over = new AbortController();
    const reason = new Error('given up');
    const starting = startPlatform({
      name: given,
      driver: 'container',
      ports: 'free',
      quiet: true,
      signal: over.signal,
      runSteps: async (steps) => {
        for (const step of steps) {
          if (step.title.startsWith('Start ')) setTimeout(() => over.abort(reason), ms);
          await step.run(() => {});
        }
      },
    });
    await expect(starting).rejects.toBe(reason);
    // What had begun to make containers would have made them by then.
    await delayed(4_000);
    expect(engineLeftovers(`bimetal-${given}`)).toEqual([]);
    expect(findRun(given)).toBeUndefined();
  },
  60_000,
);

test('nothing is left of a run that differs from the model, either', async () => {
  const other = `spec-${randomBytes(4).toString('hex')}`;
  const changed = await startPlatform({
    name: other,
    driver: 'container',
    ports: 'free',
    model: { services: { cache: { settings: { MEMORY_LIMIT: '64MiB' } } } },
  });
  await changed.stop();
  expect(engineLeftovers(`bimetal-${other}`)).toEqual([]);
}, 120_000);
