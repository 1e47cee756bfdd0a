import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { findRun } from '../run/run-file.ts';
import { fakeModel } from '../testing/fake-platform.ts';
import { type StartOptions, startPlatform } from './start.ts';

const start = (options: StartOptions = {}) =>
  startPlatform({ name: `spec-${randomBytes(4).toString('hex')}`, ports: 'free', model: fakeModel(), ...options });

const isAlive = (pid: number | undefined): boolean => {
  try {
    return pid !== undefined && process.kill(pid, 0);
  } catch {
    return false;
  }
};

test('a platform is ready when it is handed over, and gone after it was disposed of', async () => {
  const pids: (number | undefined)[] = [];
  let name = '';
  {
    await using platform = await start();
    name = platform.name;
    expect(platform.instances.map((instance) => [instance.name, instance.state])).toEqual([
      ['cache-0', 'ready'],
      ['cache-1', 'ready'],
      ['gateway-0', 'ready'],
    ]);
    expect(platform.topology.nodes.map((node) => [node.name, node.tag, node.address])).toEqual([
      ['cache-0', 1, platform.instance('cache-0').address('grpc')],
      ['cache-1', 2, platform.instance('cache-1').address('grpc')],
    ]);
    expect(findRun(name)?.pid).toBe(process.pid);
    pids.push(...platform.instances.map((instance) => instance.pid));
    expect(pids.every(isAlive)).toBe(true);
  }
  expect(pids.some(isAlive)).toBe(false);
  expect(findRun(name)).toBeUndefined();
});

test('the nodes are told the topology before the gateway starts', async () => {
  await using platform = await start();
  const toldAt =
    platform
      .instance('cache-1')
      .logs()
      .find(({ msg }) => msg === 'topology')?.time ?? '';
  const gatewayAt = platform.instance('gateway-0').logs()[0]?.time ?? '';
  expect(toldAt).not.toBe('');
  expect(toldAt <= gatewayAt).toBe(true);
});

test('an instance keeps its address when it is killed and started again', async () => {
  await using platform = await start();
  const node = platform.instance('cache-0');
  const { address, pid } = { address: node.address('grpc'), pid: node.pid };
  await node.kill();
  expect(node.state).toBe('stopped');
  await node.start();
  expect(node.state).toBe('ready');
  expect(node.address('grpc')).toBe(address);
  expect(node.pid).not.toBe(pid);
});

test('a paused instance is paused until it is resumed', async () => {
  await using platform = await start();
  const node = platform.instance('cache-1');
  await node.pause();
  expect(node.state).toBe('paused');
  await node.resume();
  expect(node.state).toBe('ready');
});

test('an instance that does not drain in time is left running unless it is forced', async () => {
  const model = fakeModel({ cache: { settings: { FAKE_IGNORE_SIGTERM: 'true' } } });
  await using platform = await start({ model });
  const node = platform.instance('cache-0');
  await expect(node.stop({ timeoutMs: 100 })).rejects.toMatchObject({ code: 'STOP_TIMED_OUT' });
  expect(isAlive(node.pid)).toBe(true);
  await node.stop({ timeoutMs: 100, force: true });
  expect(node.state).toBe('stopped');
});

test('an instance that ends by itself is failed and the log says how', async () => {
  await using platform = await start();
  const node = platform.instance('cache-0');
  process.kill(node.pid ?? 0, 'SIGKILL');
  await node.whenState('failed');
  expect(platform.logs.recent().at(-1)?.msg).toContain('cache-0 ended by itself (SIGKILL)');
});

test('a service that cannot start fails the start with its own words and leaves nothing running', async () => {
  const model = fakeModel({ gateway: { settings: { FAKE_EXIT: '1' } } });
  await expect(start({ model, name: 'spec-cannot-start' })).rejects.toMatchObject({
    code: 'UNHEALTHY',
    message: expect.stringContaining('gateway-0 ended before it was ready (exit code 1)'),
    details: expect.stringContaining('this is why I cannot start'),
  });
  expect(findRun('spec-cannot-start')).toBeUndefined();
});

test('a second platform of the same name is refused', async () => {
  await using platform = await start();
  await expect(start({ name: platform.name })).rejects.toMatchObject({ code: 'ALREADY_RUNNING' });
});

test('a platform whose predecessor of the same name is stopping waits for it', async () => {
  const first = await start();
  const stopped = first.stop();
  await using second = await start({ name: first.name });
  await stopped;
  expect(second.instances.map(({ state }) => state)).toEqual(['ready', 'ready', 'ready']);
  expect(findRun(first.name)?.pid).toBe(process.pid);
});

test('a taken port is named with its holder before anything starts', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(8080, '127.0.0.1', resolve));
  try {
    await expect(start({ ports: 'fixed' })).rejects.toMatchObject({
      code: 'PORT_TAKEN',
      message: expect.stringMatching(new RegExp(`8080.*gateway[.]http.*pid ${process.pid}`)),
    });
  } finally {
    server.close();
  }
});

test('an aborted start ends what it had started', async () => {
  const model = fakeModel({ gateway: { settings: { FAKE_NEVER_READY: 'true' } } });
  const reason = new Error('enough');
  await expect(start({ model, signal: AbortSignal.timeout(700) })).rejects.toBeDefined();
  await expect(start({ model, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
});
