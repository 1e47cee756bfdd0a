// The edge passes the gateways their connections, so its own faults, and theirs, stay where they are. On processes only:
// in containers it relays.
import { expect, test } from '@jest/globals';
import { http } from '../../orchestrator/src/process/http.ts';
import { eventually } from '../support/eventually.ts';
import { HttpClient } from '../support/http.ts';
import { useStage } from '../support/platform.ts';

const stage = useStage({ model: { services: { gateway: { replicas: 2 }, example: { omit: true } } } });

const path = '/v1/cache/default/edge';
const origin = (): string => `http://${stage().platform.endpoint('gateway.http')}`;

/** One GET over a connection of its own. */
const ask = () => http(`${origin()}${path}`, { timeoutMs: 10_000 });

/** How many connections each gateway has. */
const standing = async (): Promise<number[]> =>
  Promise.all(
    stage()
      .platform.instances.filter(({ service }) => service === 'gateway')
      .map(async (gateway) => {
        const text = await (await fetch(`${gateway.probeUrl}/metrics`)).text();
        return Number(/^bimetal_gateway_http_connections (\d+)$/m.exec(text)?.[1]);
      }),
  );

test('a gateway that stands still is passed over, and is sent connections again when it goes on', async () => {
  const { platform } = stage();
  const gateway = platform.instance('gateway-1');
  await gateway.pause();
  let slowestMs = 0;
  for (let i = 0; i < 20; i += 1) {
    const begin = performance.now();
    expect(await ask()).toMatchObject({ status: 404 });
    slowestMs = Math.max(slowestMs, performance.now() - begin);
  }
  // The edge waits 1 s for the one that does not answer.
  expect(slowestMs).toBeGreaterThan(900);
  expect(slowestMs).toBeLessThan(3_000);
  await gateway.resume();
  await eventually(async () => {
    const client = new HttpClient(origin());
    try {
      await Promise.all(Array.from({ length: 8 }, () => client.get(path)));
      expect(Math.min(...(await standing()))).toBeGreaterThan(0);
    } finally {
      await client.close();
    }
  });
}, 60_000);

test('connections of the gateways outlive the edge', async () => {
  const { platform } = stage();
  const edge = platform.instance('edge-0');
  const client = new HttpClient(origin(), 1);
  try {
    expect(await client.get(path)).toMatchObject({ status: 404 });
    await edge.kill();
    expect(await client.get(path)).toMatchObject({ status: 404 });
    await expect(ask()).rejects.toThrow('ECONNREFUSED');
    await edge.start();
    await platform.wiring.publishRoutes();
    expect(await ask()).toMatchObject({ status: 404 });
  } finally {
    await client.close();
  }
}, 60_000);
