// Promise 1: a single key is linearizable. Concurrent clients on a few hot keys, through faults, and a checker that judges
// what they saw. Seeded; a history that fails is drawn in build/consistency-*.html.
import { beforeAll, expect, test } from '@jest/globals';
import { restart, rollOut } from '../../orchestrator/src/index.ts';
import { buildConsistency, type History, startHistory, testConsistency, type Verdict } from '../support/history.ts';
import { useStage } from '../support/platform.ts';

const stage = useStage();
beforeAll(buildConsistency, 120_000);

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
/** Enough for every client to have met every key many times. */
const some = 200;

const run = (prefix: string, options: { corrupt?: boolean; idempotent?: boolean } = {}): History =>
  startHistory({
    urls: [`http://${stage().platform.endpoint('gateway.http')}`],
    prefix: `${prefix}-`,
    seed,
    ...options,
  });

const expectLinearizable = (verdict: Verdict): void => {
  expect({ ...verdict, seed }).toMatchObject({ verdict: 'linearizable', unexpected: [] });
  for (const kind of ['get', 'put', 'delete', 'compare-and-swap', 'increment']) {
    expect(verdict.operations[kind]).toBeGreaterThan(5);
  }
};

const refusals = (verdict: Verdict): string[] => Object.keys(verdict.notBegun);

test('the checker tells right histories from wrong ones', testConsistency, 120_000);

test('quiet: linearizable, and nothing fails', async () => {
  const history = run('quiet');
  await history.answered(2 * some);
  const verdict = await history.stop();
  expectLinearizable(verdict);
  expect(verdict).toMatchObject({ unknown: 0, notBegun: {} });
  expect(Object.keys(verdict.owners)).toEqual(expect.arrayContaining(['cache-0', 'cache-1']));
});

test('a read made stale is found', async () => {
  const history = run('stale', { corrupt: true });
  await history.answered(2 * some);
  expect(await history.stop()).toMatchObject({ verdict: 'not linearizable' });
});

test('while a node is stopped in its tracks and goes on', async () => {
  const history = run('paused');
  await history.answered(some);
  const node = stage().platform.instance('cache-0');
  await node.pause();
  await history.answered(some); // of the other's keys
  await node.resume();
  await history.answered(some);
  const verdict = await history.stop();
  expectLinearizable(verdict);
  expect(refusals(verdict)).toEqual(['NODE_UNAVAILABLE']);
});

test('while a node is killed and started again, empty', async () => {
  const history = run('killed');
  await history.answered(some);
  const node = stage().platform.instance('cache-1');
  await history.lost('cache-1');
  await node.kill();
  await history.answered(some); // of the other's keys
  await node.start();
  await history.answered(some);
  const verdict = await history.stop();
  expectLinearizable(verdict);
  expect(refusals(verdict)).toEqual(['NODE_UNAVAILABLE']);
});

test('while the gateway is restarted', async () => {
  // With ids: whether a request reached a gateway that was about to end, nobody can tell otherwise.
  const history = run('gateway', { idempotent: true });
  await history.answered(some);
  await stage().platform.instance('gateway-0').restart();
  await history.answered(some);
  expectLinearizable(await history.stop());
}, 40_000);

test('while every node is handed over to a new process: nothing fails, nothing is lost', async () => {
  const { platform } = stage();
  const history = run('handed-over');
  await history.answered(some);
  for (const node of platform.instancesOf('cache')) {
    await restart(platform, node);
    await history.answered(some);
  }
  const verdict = await history.stop();
  expectLinearizable(verdict);
  expect(verdict).toMatchObject({ unknown: 0, notBegun: {} });
}, 40_000);

test('while the gateway is replaced by another process', async () => {
  const history = run('rolled-out');
  await history.answered(some);
  const { outcome } = await rollOut(stage().platform, { target: 'gateway', limits: { canaryMs: 100, watchMs: 0 } });
  expect(outcome).toBe('done');
  await history.answered(some);
  const verdict = await history.stop();
  expectLinearizable(verdict);
  expect(verdict).toMatchObject({ unknown: 0, notBegun: {} });
}, 40_000);

test('with idempotency keys everything gets its outcome, once, while nodes stop and are handed over', async () => {
  const { platform } = stage();
  const history = run('protected', { idempotent: true });
  await history.answered(some);
  for (const node of platform.instancesOf('cache')) {
    await node.pause();
    await history.answered(some / 3); // of the other's keys
    await node.resume();
    await restart(platform, node);
    await history.answered(some);
  }
  const verdict = await history.stop();
  expectLinearizable(verdict);
  expect(verdict.unknown).toBe(0);
}, 40_000);
