import { connect } from 'node:net';
import { expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { isServed, startLoad } from '../support/load.ts';
import { driver, useStage } from '../support/platform.ts';

// For so long readiness fails and everything is still served: long enough for a busy machine to notice.
const stage = useStage({ settings: { DRAIN_DELAY: '2s' } });

/** Whether somebody listens at host:port. */
const isOpen = (address: string): Promise<boolean> =>
  new Promise((resolve) => {
    const url = new URL(`http://${address}`);
    const socket = connect({ host: url.hostname, port: Number(url.port) });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
    socket.setTimeout(500, () => socket.destroy());
    socket.once('connect', () => socket.end());
  });

test('a gateway that drains answers everything that it took, and ends with 0', async () => {
  const { http, platform } = stage();
  const gateway = platform.instance('gateway-0');
  const load = startLoad(http, platform.topology.nodes, 500);
  await eventually(() => expect(load.now()).toBeGreaterThan(500));
  const stopping = gateway.stop();
  // The delay is the time in which a balancer would take it out: stop sending within it.
  await eventually(async () => {
    const answer = await fetch(`${gateway.url('admin')}/readyz`).catch(() => undefined);
    expect(answer?.status).toBe(503);
  });
  const outcomes = await load.stop();
  await stopping;
  expect(outcomes.filter((outcome) => !isServed(outcome))).toEqual([]);
  expect(outcomes.length).toBeGreaterThan(200);
  if (driver === 'process') expect(await isOpen(gateway.address('http'))).toBe(false);
  expect(gateway.state).toBe('stopped');
  await gateway.start();
  expect((await fetch(`${gateway.url('http')}/readyz`)).status).toBe(200);
}, 60_000);

test('a node that drains answers what it took; its keys then fail specifically and come back with it', async () => {
  const { http, platform } = stage();
  const node = platform.instance('cache-0');
  const load = startLoad(http, platform.topology.nodes, 500);
  await eventually(() => expect(load.now()).toBeGreaterThan(500));
  await node.restart();
  const back = load.now();
  await eventually(() => expect(load.now()).toBeGreaterThan(back + 1_500), 10_000);
  const outcomes = await load.stop();
  const failed = outcomes.filter((outcome) => !isServed(outcome));
  // Drained: nothing was sent without an answer, so no outcome is unknown.
  expect(failed.filter(({ reason }) => !['NODE_UNAVAILABLE', 'DRAINING'].includes(reason))).toEqual([]);
  expect(failed.filter(({ node: name }) => name !== 'cache-0')).toEqual([]);
  expect(failed.filter(({ due }) => due > back + 1_000)).toEqual([]);
}, 60_000);
