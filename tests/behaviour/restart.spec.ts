// What a node that was killed and started again, and so is empty, has kept, and what it tells those who knew it before.
import { expect, test } from '@jest/globals';
import type { Instance } from '../../orchestrator/src/index.ts';
import { eventually } from '../support/eventually.ts';
import { entry } from '../support/http.ts';
import { freshKey, freshName, useStage } from '../support/platform.ts';
import { listenTo } from '../support/server-sent-events.ts';
import { subscribed, watchNode } from '../support/watching.ts';

const stage = useStage();

const killAndStart = async (node: Instance): Promise<void> => {
  await node.kill();
  await node.start();
};

test('it has the namespaces again, from its first answer on', async () => {
  const { http, cache, platform } = stage();
  const namespace = freshName('ns');
  await http.request('PUT', `/v1/namespaces/${namespace}`, {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ quotaBytes: '1000000' }),
  });
  for (const node of platform.instancesOf('cache')) {
    await killAndStart(node);
    // Straight to the node, which is ready: whether a gateway has connected to it yet does not matter.
    const own = Array.from({ length: 100 }, () => freshKey()).find((key) => cache.nodeOf(namespace, key) === node.name);
    await cache.put({ namespace, key: Buffer.from(own ?? '') });
  }
  // The gateway has the node again within a second.
  await eventually(async () => expect((await http.put(entry(freshKey(), namespace), 'x')).status).toBe(201));
}, 60_000);

test('its versions go on growing', async () => {
  const { http, cache, platform } = stage();
  const key = freshKey();
  const path = entry(key);
  const { version: before = 0n } = await http.put(path, '1');
  await killAndStart(platform.instance(cache.nodeOf('demo', key) ?? ''));
  const after = await eventually(async () => {
    const answer = await http.put(path, '2');
    expect(answer.status).toBe(201);
    return answer.version ?? 0n;
  });
  expect(after).toBeGreaterThan(before);
}, 60_000);

test('it answers a position of its former life by a reset, never by a gap', async () => {
  const node = stage().platform.instance('cache-1');
  const first = watchNode(node.address('grpc'), {});
  const { subscribed: begun } = await first.next(subscribed);
  first[Symbol.dispose]();
  await killAndStart(node);
  for (const position of [begun?.position ?? Buffer.alloc(0), Buffer.from('no position at all')]) {
    const again = watchNode(node.address('grpc'), { position });
    expect(await again.next((message) => message.reset !== undefined)).toMatchObject({
      reset: { message: expect.stringMatching(/./) },
    });
  }
}, 60_000);

test('an event stream is told to drop what it holds', async () => {
  const { platform, http } = stage();
  const stream = await listenTo(`${platform.instance('gateway-0').url('http')}/v1/cache/demo`);
  await eventually(() => expect(stream.lastId).not.toBe(''));
  await killAndStart(platform.instance('cache-0'));
  await eventually(() => expect(stream.events.map(({ event }) => event)).toContain('reset'), 10_000);
  await http.put(entry('after-the-reset'), 'x');
  await eventually(() => expect(stream.events.some(({ data }) => data['key'] === 'after-the-reset')).toBe(true));
}, 60_000);
