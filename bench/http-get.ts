// GET of 64 B and 1 KB through the gateway, at 64 and 256 connections, beside a static handler.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import type { Platform } from '../orchestrator/src/index.ts';
import { alternate, cpuSeconds, type Figure, figureOf, pin, serverCore } from './measure.ts';
import { type WrkResult, wrk } from './wrk.ts';

const root = resolve(import.meta.dirname, '..');

export type HttpGetRow = {
  readonly side: 'gateway' | 'floor';
  readonly bytes: number;
  readonly connections: number;
  readonly requestsPerSecond: Figure;
  /** Milliseconds of CPU for 1,000 requests, of the gateway (or the floor) alone. */
  readonly cpuMsPer1000: Figure;
  /** The same for the nodes behind the gateway. */
  readonly nodeCpuMsPer1000: Figure | undefined;
  readonly p50: Figure;
  readonly p99: Figure;
  readonly failures: number;
};

type Round = WrkResult & { readonly cpuMsPer1000: number; readonly nodeCpuMsPer1000: number };

const startFloor = async (bytes: number): Promise<{ child: ChildProcess; url: string }> => {
  const child = spawn(join(root, 'build/bin/floor'), ['-bytes', String(bytes)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const address of createInterface({ input: child.stdout })) return { child, url: `http://${address}` };
  throw new Error('the floor did not start');
};

const measured = async (
  url: string,
  connections: number,
  seconds: number,
  server: number,
  nodes: readonly number[],
): Promise<Round> => {
  const cpu = (): [number, number] => [cpuSeconds(server), nodes.reduce((sum, pid) => sum + cpuSeconds(pid), 0)];
  const [server0, nodes0] = cpu();
  const result = await wrk(url, connections, seconds);
  const [server1, nodes1] = cpu();
  const thousands = (result.requestsPerSecond * seconds) / 1_000;
  return {
    ...result,
    cpuMsPer1000: ((server1 - server0) * 1_000) / thousands,
    nodeCpuMsPer1000: ((nodes1 - nodes0) * 1_000) / thousands,
  };
};

const rowOf = (side: HttpGetRow['side'], bytes: number, connections: number, rounds: readonly Round[]): HttpGetRow => ({
  side,
  bytes,
  connections,
  requestsPerSecond: figureOf(rounds.map((round) => round.requestsPerSecond)),
  cpuMsPer1000: figureOf(rounds.map((round) => round.cpuMsPer1000)),
  nodeCpuMsPer1000: side === 'gateway' ? figureOf(rounds.map((round) => round.nodeCpuMsPer1000)) : undefined,
  p50: figureOf(rounds.map((round) => round.p50)),
  p99: figureOf(rounds.map((round) => round.p99)),
  failures: rounds.reduce((sum, round) => sum + round.failures, 0),
});

const pidOf = (platform: Platform, name: string): number => {
  const { pid } = platform.instance(name);
  if (pid === undefined) throw new Error(`${name} does not run`);
  return pid;
};

export const measureHttpGet = async (platform: Platform, rounds: number, seconds: number): Promise<HttpGetRow[]> => {
  await promisify(execFile)('go', ['build', '-o', join(root, 'build/bin/floor'), '.'], {
    cwd: join(root, 'bench/floor'),
    env: { ...process.env, GOWORK: 'off' },
  });
  const gateway = pidOf(platform, 'gateway-0');
  const nodes = platform.instancesOf('cache').map(({ name }) => pidOf(platform, name));
  await Promise.all([gateway, ...nodes].map((pid) => pin(pid, serverCore)));
  const rows: HttpGetRow[] = [];
  for (const bytes of [64, 1_024]) {
    const path = `/v1/cache/demo/bench-${bytes}`;
    const url = `${platform.instance('gateway-0').url('http')}${path}`;
    const stored = await fetch(url, {
      method: 'PUT',
      headers: { 'content-type': 'text/plain' },
      body: 'x'.repeat(bytes),
    });
    if (!stored.ok) throw new Error(`storing ${bytes} bytes: ${stored.status}`);
    const floor = await startFloor(bytes);
    const floorPid = floor.child.pid ?? 0;
    try {
      await pin(floorPid, serverCore);
      for (const connections of [64, 256]) {
        const results = await alternate(
          {
            gateway: () => measured(url, connections, seconds, gateway, nodes),
            floor: () => measured(`${floor.url}${path}`, connections, seconds, floorPid, []),
          },
          rounds,
        );
        rows.push(
          rowOf('gateway', bytes, connections, results.gateway),
          rowOf('floor', bytes, connections, results.floor),
        );
      }
    } finally {
      floor.child.kill();
    }
  }
  return rows;
};
