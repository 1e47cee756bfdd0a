// Gateways are replaced while they serve: no request fails; and a bad build is rolled back by itself.
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { describeContract } from '../../contract/ts/index.ts';
import { type LoadReport, type RolloutReport, rollOut, scale } from '../../orchestrator/src/index.ts';
import { http } from '../../orchestrator/src/process/http.ts';
import { temporaryFolder } from '../../orchestrator/src/testing/temporary-folder.ts';
import { plantContract } from '../support/planted-contract.ts';
import { driver, useStage } from '../support/platform.ts';
import { underLoad } from '../support/under-load.ts';

const stage = useStage();

const none = expect.objectContaining({ total: 0 });

const expectNothingFailed = ({ failed, lost, stale, wrong, notSent }: LoadReport): void => {
  expect({ failed, lost, stale, wrong, notSent }).toEqual({
    failed: none,
    lost: none,
    stale: none,
    wrong: none,
    notSent: none,
  });
};

test('no request fails while the gateway is replaced twice', async () => {
  const { platform } = stage();
  const outcomes: string[] = [];
  const report = await underLoad(platform, { rate: 300 }, async () => {
    for (let i = 0; i < 2; i += 1) {
      const limits = { canaryMs: 500, watchMs: 500 };
      outcomes.push((await rollOut(platform, { target: 'gateway', limits })).outcome);
    }
  });
  expect(outcomes).toEqual(['done', 'done']);
  expectNothingFailed(report);
}, 60_000);

test('no request fails while it is replaced, with a connection for each', async () => {
  const { platform } = stage();
  const url = `http://${platform.endpoint('gateway.http')}/livez`;
  const over = new AbortController();
  let answered = 0;
  const failures: string[] = [];
  const callers = Array.from({ length: 4 }, async () => {
    while (!over.signal.aborted) {
      try {
        const { status } = await http(url, { timeoutMs: 10_000 });
        if (status === 200) answered += 1;
        else failures.push(String(status));
      } catch (error) {
        failures.push(String(error));
      }
    }
  });
  const { outcome } = await rollOut(platform, { target: 'gateway', limits: { canaryMs: 500, watchMs: 500 } });
  over.abort();
  await Promise.all(callers);
  expect(outcome).toBe('done');
  expect(failures).toEqual([]);
  expect(answered).toBeGreaterThan(500);
}, 60_000);

test('new settings stay with the instance when it is started again', async () => {
  const { platform } = stage();
  const limits = { canaryMs: 100, watchMs: 0 };
  await rollOut(platform, { target: 'gateway', settings: { LOG_LEVEL: 'debug' }, limits });
  const gateway = platform.instance('gateway-0');
  await gateway.kill();
  await gateway.start();
  expect(gateway.change.settings).toEqual({ LOG_LEVEL: 'debug' });
  await fetch(`${gateway.url('http')}/v1/cache/demo/x`);
  expect(gateway.state).toBe('ready');
}, 60_000);

test('gateways come and go behind one address, and no request fails', async () => {
  const { platform } = stage();
  const report = await underLoad(platform, { rate: 300 }, async () => {
    await scale(platform, { service: 'gateway', replicas: 3 });
    expect(platform.instancesOf('gateway').map(({ state }) => state)).toEqual(['ready', 'ready', 'ready']);
    await scale(platform, { service: 'gateway', replicas: 1 });
  });
  expect(platform.instancesOf('gateway')).toHaveLength(1);
  expectNothingFailed(report);
}, 60_000);

const aBadBuild = (): void => {
  /** Rolls it out under load; it has to be rolled back. */
  const rollOutBad = async (bad: string, settings: Record<string, string> = {}) => {
    const { platform } = stage();
    let rollout: RolloutReport | undefined;
    const upstream = platform.instance('gateway-0').url('http');
    const before = platform.instance('gateway-0').change;
    const report = await underLoad(platform, { rate: 200 }, async () => {
      rollout = await rollOut(platform, {
        target: 'gateway',
        build: {
          kind: 'program',
          command: [process.execPath, resolve(import.meta.dirname, '../support/bad-gateway.ts')],
        },
        settings: { BAD: bad, BAD_UPSTREAM: upstream, ...settings },
        // One that is not about latency is not to be found by it, as it would be on a busy machine.
        limits: { readyMs: 2000, canaryMs: 2000, watchMs: 3000, ...(bad !== 'slow' && { p99Ms: 2000 }) },
      });
    });
    expect(rollout?.outcome).toBe('rolled back');
    expect(platform.instance('gateway-0').change).toEqual(before);
    expect((await fetch(`http://${platform.endpoint('gateway.http')}/v1/cache/demo/x`)).status).toBe(404);
    return { reason: rollout?.reason, report };
  };

  const tryBad = async (bad: string, settings?: Record<string, string>): Promise<string | undefined> => {
    const { reason, report } = await rollOutBad(bad, settings);
    expectNothingFailed(report);
    return reason;
  };

  test('that crashes at start never gets a request', async () => {
    expect(await tryBad('crash')).toContain('ended before it was ready (exit code 1)');
  }, 60_000);

  test('that is never ready never gets a request', async () => {
    expect(await tryBad('unready')).toContain('was not ready after 2 s');
  }, 60_000);

  test('that is slow is found by its canary', async () => {
    expect(await tryBad('slow')).toMatch(/canary's p99 is [\d.]+ ms/);
  }, 60_000);

  test('that fails one request in a hundred is found by its canary', async () => {
    expect(await tryBad('errors')).toMatch(/\d+ of \d+ canary requests failed \(500 without a reason\)/);
  }, 60_000);

  test('that spoils answers only once callers are there is found by what they get', async () => {
    const { reason, report } = await rollOutBad('spoils');
    expect(reason).toMatch(/\d+ of \d+ requests of callers failed/);
    // 200 a second: what is found within a second, and drains for two more, fails at most that long.
    expect(report.failed.total).toBeGreaterThan(0);
    expect(report.failed.total).toBeLessThan(800);
    expect({ lost: report.lost, stale: report.stale }).toEqual({ lost: none, stale: none });
  }, 60_000);

  test('that dies once callers are there is replaced by what ran before', async () => {
    const { reason, report } = await rollOutBad('dies');
    expect(reason).toMatch(/does not tell its metrics|ended while it served/);
    expect(report.failed.total).toBeLessThan(400);
    expect({ lost: report.lost, stale: report.stale }).toEqual({ lost: none, stale: none });
  }, 60_000);

  test('with an incompatible contract never gets a request', async () => {
    await using planted = await plantContract(
      'bimetal/cache/v1/operations.proto',
      '  bool created = 2;\n  // The entry that was',
      '  string created = 2;\n  // The entry that was',
    );
    const identity = {
      ...describeContract('gateway', '0'),
      ...planted.identity,
      descriptorSet: planted.descriptorSet.toString('base64'),
    };
    const file = join(temporaryFolder(), 'contract.json');
    await writeFile(file, JSON.stringify(identity));
    expect(await tryBad('contract', { BAD_CONTRACT: file })).toContain('bimetal.cache.v1.PutResponse');
  }, 60_000);
};

// It is a program of this machine; containers run images only.
if (driver === 'process') describe('a bad build', aBadBuild);
