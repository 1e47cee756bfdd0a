// What the edge costs: the same load to the gateway directly, through the edge that passes it its connections, and
// through one that relays them. Writes docs/edge.md. Needs h2load (Debian: nghttp2-client) and wrk.
//
//   node bench/edge.ts [--seconds 4] [--rounds 5]
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs, promisify } from 'node:util';
import { type Platform, startPlatform } from '../orchestrator/src/index.ts';
import { alternate, cpuSeconds, figureOf, loadCore, pin, serverCore, version } from './measure.ts';
import { wrk } from './wrk.ts';

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '4' }, rounds: { type: 'string', default: '5' } },
});
const seconds = Number(values.seconds);
const rounds = Number(values.rounds);
const rate = 10_000;
const root = resolve(import.meta.dirname, '..');
const scratch = mkdtempSync(join(tmpdir(), 'bimetal-edge-'));

interface Pids {
  readonly edge: number | undefined;
  readonly gateway: number;
}

interface Round {
  readonly requests: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly failures: number;
  /** Milliseconds for 1,000 requests. */
  readonly edgeCpu: number;
  readonly gatewayCpu: number;
}

/** Measures the CPU time of edge and gateway while a load runs. */
const measured = async (
  pids: Pids,
  load: () => Promise<Pick<Round, 'requests' | 'p50' | 'failures'>>,
): Promise<Round> => {
  const used = (pid: number | undefined): number => (pid === undefined ? 0 : cpuSeconds(pid));
  const before = { edge: used(pids.edge), gateway: used(pids.gateway) };
  const done = await load();
  const perThousand = (cpu: number): number => (1e6 * cpu) / done.requests;
  return {
    ...done,
    edgeCpu: perThousand(used(pids.edge) - before.edge),
    gatewayCpu: perThousand(used(pids.gateway) - before.gateway),
  };
};

/** At a constant rate, over connections that stand. Each line of the log is start, status and duration, in µs. */
const h2load = async (url: string, clients: number, args: readonly string[]) => {
  const log = join(scratch, 'h2load.log');
  rmSync(log, { force: true });
  const all = ['-c', loadCore, 'h2load', '-c', String(clients), `--rps=${rate / clients}`, '-D', String(seconds)];
  await promisify(execFile)('taskset', [...all, ...args, `--log-file=${log}`, url], {
    timeout: (seconds + 20) * 1_000,
  });
  const lines = readFileSync(log, 'utf8').trim().split('\n');
  const requests = lines.map((line) => line.split('\t'));
  return {
    requests: requests.length,
    p50: figureOf(requests.map(([, , took]) => Number(took) / 1_000)).median,
    failures: requests.filter(([, status]) => status !== '200').length,
  };
};

/** As fast as one core can, each request over a connection of its own. */
const anew = async (url: string) => {
  const result = await wrk(url, 8, seconds, ['Connection: close']);
  return { requests: result.requestsPerSecond * seconds, p50: result.p50, failures: result.failures };
};

const kinds = {
  'HTTP/1.1, 64 connections': (url: string) => h2load(url, 64, ['--h1']),
  'HTTP/1.1, 8 connections': (url: string) => h2load(url, 8, ['--h1']),
  'h2c, 4 connections': (url: string) => h2load(url, 4, ['-m', '64']),
  'a connection for each request': anew,
};

/** An edge that is given the gateway's TCP address, and so relays. */
const startRelay = async (target: string) => {
  const routes = [{ name: 'relayed', listen: '127.0.0.1:0', targets: [target] }];
  const child = spawn(
    join(root, 'build/bin/bimetal-edge'),
    ['--admin-listen', '127.0.0.1:0', '--log-format', 'json', '--watch-stdin', '--routes', JSON.stringify(routes)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const [line] = await once(createInterface(child.stdout), 'line', { signal: AbortSignal.timeout(10_000) });
  return { child, pid: child.pid, address: JSON.parse(line).addresses.relayed as string };
};

const pidOf = (platform: Platform, name: string): number => {
  const pid = platform.instance(name).pid;
  if (pid === undefined) throw new Error(`${name} does not run`);
  return pid;
};

const rows: string[] = [];
const platform = await startPlatform({
  name: 'bench-edge',
  ports: 'free',
  driver: 'process',
  release: true,
  quiet: true,
});
const relay = await startRelay(platform.instance('gateway-0').address('http'));
try {
  const path = '/v1/cache/demo/edge';
  const urls = {
    direct: `${platform.instance('gateway-0').url('http')}${path}`,
    passed: `http://${platform.endpoint('gateway.http')}${path}`,
    relayed: `http://${relay.address}${path}`,
  };
  const put = await fetch(urls.direct, { method: 'PUT', body: 'x'.repeat(64) });
  if (put.status !== 201) throw new Error(`PUT: ${put.status}`);
  const gateway = pidOf(platform, 'gateway-0');
  const edge = pidOf(platform, 'edge-0');
  for (const pid of [gateway, edge, relay.pid, pidOf(platform, 'cache-0'), pidOf(platform, 'cache-1')])
    if (pid !== undefined) await pin(pid, serverCore);
  await pin(process.pid, loadCore);
  for (const [kind, load] of Object.entries(kinds)) {
    const sides = await alternate(
      {
        direct: () => measured({ gateway, edge: undefined }, () => load(urls.direct)),
        passed: () => measured({ gateway, edge }, () => load(urls.passed)),
        relayed: () => measured({ gateway, edge: relay.pid }, () => load(urls.relayed)),
      },
      rounds,
    );
    for (const [side, results] of Object.entries(sides)) {
      const text = (pick: (round: Round) => number, digits: number): string => {
        const { median, min, max } = figureOf(results.map(pick));
        return `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
      };
      const share = figureOf(results.map(({ edgeCpu, gatewayCpu }) => (100 * edgeCpu) / gatewayCpu));
      rows.push(
        `| ${kind} | ${side} | ${side === 'direct' ? '–' : text((one) => one.edgeCpu, 2)} | ${text((one) => one.gatewayCpu, 1)} | ${
          side === 'direct' ? '–' : `${share.median.toFixed(1)} %`
        } | ${text((one) => one.p50, 3)} | ${text((one) => one.requests / seconds, 0)} | ${results.reduce((sum, one) => sum + one.failures, 0)} |`,
      );
      console.error(rows.at(-1));
    }
  }
} finally {
  relay.child.stdin.end();
  await platform.stop();
  rmSync(scratch, { recursive: true });
}
const model = cpus()[0]?.model ?? 'unknown';
writeFileSync(
  join(root, 'docs/edge.md'),
  `<!-- Written by \`node bench/edge.ts\`; what is said beside the table is there. -->
# What the edge costs

${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${model}; ${await version('h2load', '--version')}; ${(await version('wrk', '-v'))?.replace(/ \[.*/, '')}.
GET of 64 bytes through gateway and node. ${rounds} rounds of ${seconds} s a side, alternating; medians with the smallest and the largest round;
servers on core ${serverCore}, load on core ${loadCore}. \`h2load\` sends ${rate.toLocaleString('en')} requests a second; the last kind is \`wrk\` with
8 connections in a closed loop. *direct*: to the gateway; *passed*: through the edge, which passes the gateway the
accepted connections; *relayed*: through an edge that is given the gateway's TCP address, as in containers.

| load | side | edge's CPU ms per 1,000 | gateway's | edge's share of the gateway's | p50 ms | requests/s | failures |
| --- | --- | --- | --- | --- | --- | --- | --- |
${rows.join('\n')}
`,
);
