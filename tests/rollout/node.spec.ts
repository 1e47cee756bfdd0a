// Nodes are replaced while they serve: the new process takes everything over from the old one at one point in the order
// of writes. No request fails, no acknowledged write is lost, nobody reads what is older than what was acknowledged.
import { describe, expect, test } from '@jest/globals';
import { type LoadReport, type RolloutReport, restart, rollOut, scale } from '../../orchestrator/src/index.ts';
import { serves } from '../../orchestrator/src/rollout/replace.ts';
import type { RolloutEvent, RolloutOptions } from '../../orchestrator/src/rollout/rollout.ts';
import { eventually } from '../support/eventually.ts';
import { driver, freshKey, useStage } from '../support/platform.ts';
import { underLoad } from '../support/under-load.ts';

const stage = useStage();

const none = expect.objectContaining({ total: 0 });
const expectNothingFailed = ({ failed, stale, wrong, notSent }: LoadReport): void => {
  expect({ failed, stale, wrong, notSent }).toEqual({ failed: none, stale: none, wrong: none, notSent: none });
};

const limits = { canaryMs: 200, watchMs: 0 };

test('no request fails and no write is lost while every node is replaced', async () => {
  const { platform } = stage();
  const before = platform.clientTopology.nodes.map(({ address }) => address);
  const report = await underLoad(
    platform,
    { rate: 300, mix: { read: 60, write: 30, cas: 5, increment: 5 } },
    async () => {
      const { outcome, reason } = await rollOut(platform, { target: 'cache', limits });
      expect([outcome, reason]).toEqual(['done', undefined]);
    },
  );
  const after = platform.clientTopology.nodes.map(({ address }) => address);
  expect(after.every((address, i) => address !== before[i])).toBe(true);
  expectNothingFailed(report);
  expect(report.lost).toEqual(none);
}, 120_000);

test('entries keep their version, their type and their remaining time to live', async () => {
  const { platform, http } = stage();
  const key = freshKey();
  const headers = { 'content-type': 'text/x-kept', 'cache-control': 'max-age=60' };
  const put = await http.request('PUT', `/v1/cache/demo/${key}`, { headers, body: 'kept' });
  for (const node of platform.instancesOf('cache')) await restart(platform, node);
  const get = await http.request('GET', `/v1/cache/demo/${key}`);
  expect([get.status, get.text, get.headers['content-type'], get.version]).toEqual([
    200,
    'kept',
    'text/x-kept',
    put.version,
  ]);
  const [, ttl] = /ttl=(\d+)/.exec(get.headers['cache-status'] ?? '') ?? [];
  expect(Number(ttl)).toBeGreaterThan(0);
  expect(Number(ttl)).toBeLessThanOrEqual(60);
}, 60_000);

test('whoever follows the events notices nothing', async () => {
  const { platform, http } = stage();
  const prefix = freshKey('followed');
  const over = new AbortController();
  const answer = await fetch(`${platform.instance('gateway-0').url('http')}/v1/cache/demo?prefix=${prefix}`, {
    headers: { accept: 'text/event-stream' },
    signal: over.signal,
  });
  let text = '';
  const reading = (async () => {
    for await (const chunk of answer.body ?? []) text += Buffer.from(chunk).toString();
  })().catch(() => {});
  const put = (i: number) => http.request('PUT', `/v1/cache/demo/${prefix}-${i}`, { body: String(i) });
  for (let i = 0; i < 20; i += 1) await put(i);
  for (const node of platform.instancesOf('cache')) await restart(platform, node);
  for (let i = 20; i < 40; i += 1) await put(i);
  const keys = () => [...text.matchAll(new RegExp(`"${prefix}-(\\d+)"`, 'g'))].map(([, i]) => Number(i));
  await eventually(() => expect(keys().toSorted((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i)));
  expect(text).not.toContain('event: reset');
  over.abort();
  await reading;
}, 60_000);

test('nodes come and go: no request fails, and nobody reads what another owner had before', async () => {
  const { platform } = stage();
  const shares: number[] = [];
  const report = await underLoad(platform, { rate: 200 }, async () => {
    for (const replicas of [4, 2, 3, 2]) {
      shares.push((await scale(platform, { service: 'cache', replicas })).movedKeys ?? 0);
    }
  });
  // Keys that change owner miss once, by the contract: they count as lost, and as nothing else.
  expectNothingFailed(report);
  expect(shares.map((share) => Math.round(share * 10) / 10)).toEqual([0.5, 0.5, 0.3, 0.3]);
}, 120_000);

const aBadBuild = (): void => {
  /** Rolls it out to one node under load; it has to be rolled back, and what ran before has to serve. */
  const rollOutBad = async (options: Partial<RolloutOptions>) => {
    const { platform } = stage();
    const node = platform.instance('cache-1');
    const before = node.change;
    let rollout: RolloutReport | undefined;
    const report = await underLoad(platform, { rate: 200 }, async () => {
      rollout = await rollOut(platform, {
        target: node.name,
        limits: { readyMs: 2_000, canaryMs: 500, watchMs: 0 },
        ...options,
      });
    });
    expect(rollout?.outcome).toBe('rolled back');
    expect([node.state, node.change]).toEqual(['ready', before]);
    expect({ stale: report.stale, wrong: report.wrong }).toEqual({ stale: none, wrong: none });
    return { reason: rollout?.reason, steps: rollout?.events.map(({ step }) => step), report };
  };

  test.each([
    ['that crashes at start', 'process.exit(1)', /ended/],
    ['that is never ready', 'setInterval(() => {}, 1_000)', /2 s|2000 ms/],
  ])(
    '%s takes nothing over',
    async (_, program, expected) => {
      const { reason, report } = await rollOutBad({
        build: { kind: 'program', command: [process.execPath, '--eval', program] },
      });
      expect(reason).toMatch(expected);
      expectNothingFailed(report);
      expect(report.lost).toEqual(none);
    },
    60_000,
  );

  const onceItServes = (act: (pid: number) => void) => ({
    onEvent: ({ step }: RolloutEvent) => {
      if (step === serves) act(stage().platform.instance('cache-1').pid ?? 0);
    },
  });

  test('that dies once it has taken over is replaced by an empty node of the former one', async () => {
    const { reason, steps, report } = await rollOutBad(onceItServes((pid) => process.kill(pid, 'SIGKILL')));
    expect(reason).toMatch(/ended while it served|canary requests failed/);
    expect(steps).toContain('started again, empty');
    // 100 a second are its own, from its end until the canary is over and another process has started.
    expect(report.failed.total).toBeLessThan(400);
  }, 60_000);

  test('that hangs once it has taken over is ended, since it cannot hand over', async () => {
    const { reason, steps, report } = await rollOutBad(onceItServes((pid) => process.kill(pid, 'SIGSTOP')));
    expect(reason).toMatch(/canary requests failed/);
    expect(steps).toContainEqual(expect.stringMatching(/^it does not give way, and is ended/));
    expect(steps).toContain('started again, empty');
    expect(report.failed.total).toBeLessThan(1_000);
  }, 60_000);
};
// A program of this machine cannot be run in a container, nor can a process there be told by its pid here.
if (driver === 'process') describe('a bad build', aBadBuild);

test('increments that carry an Idempotency-Key are exact while the nodes are replaced', async () => {
  const { platform, http } = stage();
  const key = freshKey('exact');
  const path = `/v1/cache/demo/${key}/increment`;
  const increments = 300;
  const add = async (i: number): Promise<void> => {
    const headers = { 'content-type': 'application/json', 'idempotency-key': `${key}-${i}` };
    // Sent twice, as if the first answer had been lost.
    for (let repeat = 0; repeat < 2; repeat += 1) {
      const { status } = await http.request('POST', path, { headers, body: '{"delta":"1"}' });
      expect(status).toBe(200);
    }
  };
  const adding = (async () => {
    for (let i = 0; i < increments; i += 10) await Promise.all(Array.from({ length: 10 }, (_, j) => add(i + j)));
  })();
  for (const node of platform.instancesOf('cache')) await restart(platform, node);
  await adding;
  expect((await http.request('GET', `/v1/cache/demo/${key}`)).text).toBe(String(increments));
}, 60_000);
