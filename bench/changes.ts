// The platform is changed while requests go through it, and every failed one is counted: gateway and nodes replaced,
// gateways and nodes scaled. Writes docs/changes-DRIVER.md and a plot for each part.
//
//   node bench/changes.ts [--driver process] [--rate 2000] [--times 10] [--debug]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { resolve } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { type LoadReport, type Platform, rollOut, scale, startPlatform } from '../orchestrator/src/index.ts';
import { plotOf } from '../orchestrator/src/load/plot.ts';

const { values } = parseArgs({
  options: {
    driver: { type: 'string', default: 'process' },
    rate: { type: 'string', default: '2000' },
    times: { type: 'string', default: '10' },
    only: { type: 'string' },
    debug: { type: 'boolean', default: false },
  },
});
const driver = values.driver === 'container' ? 'container' : 'process';
const rate = Number(values.rate);
const times = Number(values.times);
const root = resolve(import.meta.dirname, '..');
const folder = resolve(root, 'docs/changes');

interface Part {
  readonly name: string;
  readonly title: string;
  /** Keys that change owner miss once, by the contract: they count as lost, and are not. */
  readonly moves: boolean;
  readonly run: (platform: Platform) => Promise<readonly string[]>;
}

const replaceEach = async (platform: Platform, service: string): Promise<readonly string[]> => {
  const totals: number[] = [];
  for (let i = 0; i < times; i += 1) {
    const report = await rollOut(platform, { target: service });
    if (report.outcome !== 'done') throw new Error(`rolled back: ${report.reason}`);
    totals.push(report.totalMs);
    console.error(`${service} ${i + 1}/${times}: ${report.totalMs} ms`);
  }
  const sorted = totals.toSorted((a, b) => a - b);
  return [`${times} rollouts of ${service}, ${sorted[0]} to ${sorted.at(-1)} ms each`];
};

const through = async (platform: Platform, service: string, steps: readonly number[]): Promise<readonly string[]> => {
  const lines: string[] = [];
  for (const replicas of steps) {
    const { from, to, movedKeys, erasedEntries, totalMs } = await scale(platform, { service, replicas });
    const moved =
      movedKeys === undefined
        ? ''
        : `, ${(100 * movedKeys).toFixed(1)} % of the keys changed owner (${erasedEntries} entries erased)`;
    lines.push(`${service} ${from} → ${to} in ${totalMs} ms${moved}`);
    console.error(lines.at(-1));
  }
  return lines;
};

/** Increments whose connections are cut at random and that are sent again under their key until they are answered. */
const countExactly = async (platform: Platform): Promise<readonly string[]> => {
  const increments = 10_000;
  const url = `http://${platform.endpoint('gateway.http')}/v1/cache/demo/exact`;
  let next = 0;
  let cut = 0;
  let repeated = 0;
  const add = async (id: number): Promise<void> => {
    for (;;) {
      const isCut = Math.random() < 0.1;
      const signal = isCut ? AbortSignal.timeout(Math.ceil(Math.random() * 4)) : AbortSignal.timeout(20_000);
      const headers = { 'content-type': 'application/json', 'idempotency-key': `exact-${id}` };
      try {
        const answer = await fetch(`${url}/increment`, { method: 'POST', headers, body: '{"delta":"1"}', signal });
        await answer.arrayBuffer();
        if (answer.ok) return;
      } catch {
        if (signal.aborted) cut += 1;
      }
      repeated += 1;
    }
  };
  const adding = Promise.all(
    Array.from({ length: 16 }, async () => {
      while (next < increments) await add(next++);
    }),
  );
  let rolled = 0;
  const done = adding.then(() => true);
  while (!(await Promise.race([done, Promise.resolve(false)]))) {
    await rollOut(platform, { target: 'cache', limits: { canaryMs: 0, watchMs: 0 } });
    rolled += 1;
  }
  await adding;
  const value = await (await fetch(url)).text();
  return [
    `${increments} increments with an Idempotency-Key, ${cut} connections cut at random, ${repeated} repeats, every node replaced ${rolled} times meanwhile: the counter is ${value}`,
  ];
};

const parts: readonly Part[] = [
  { name: 'gateway', title: 'The gateway is replaced', moves: false, run: (p) => replaceEach(p, 'gateway') },
  { name: 'cache', title: 'Every node is replaced', moves: false, run: (p) => replaceEach(p, 'cache') },
  { name: 'scale-gateway', title: 'Gateways come and go', moves: false, run: (p) => through(p, 'gateway', [4, 1]) },
  { name: 'exact', title: 'Increments are exact', moves: false, run: countExactly },
  { name: 'scale-cache', title: 'Nodes come and go', moves: true, run: (p) => through(p, 'cache', [5, 2]) },
];

/** `./bimetal load`, in a process of its own: starting processes and containers must not hold it up. */
const startLoad = async (platform: Platform): Promise<{ readonly stop: () => Promise<LoadReport> }> => {
  const url = `http://${platform.endpoint('gateway.http')}`;
  const args = [resolve(root, 'bin/run.mjs'), 'load', '--url', url, '--rate', String(rate), '--keys', '2000', '--json'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const printed = textOf(child.stdout);
  // A line each second, from the first second of the load proper.
  await once(child.stderr, 'data');
  child.stderr.resume();
  return {
    stop: async () => {
      child.kill('SIGINT');
      return JSON.parse(await printed);
    },
  };
};

const measure = async (part: Part): Promise<string> => {
  const release = driver === 'process' && !values.debug;
  await using platform = await startPlatform({ name: 'changes', driver, ports: 'free', release, quiet: true });
  const load = await startLoad(platform);
  const lines = await part.run(platform);
  const report = await load.stop();
  mkdirSync(folder, { recursive: true });
  writeFileSync(resolve(folder, `${driver}-${part.name}.svg`), await plotOf(report));
  const text = [...lines, sentence(report, part.moves)].map((line) => `- ${line}`).join('\n');
  console.error(text);
  return `### ${part.title}\n\n${text}\n\n![rate, errors and latency](changes/${driver}-${part.name}.svg)\n`;
};

const sentence = ({ sent, failed, lost, stale, wrong, notSent, latency, stalls }: LoadReport, moves: boolean): string =>
  `${sent} requests: ${failed.total} failed${reasons(failed.byReason)}, ${moves ? `${lost.total} keys missed once after they had changed owner` : `${lost.total} writes lost`}, ` +
  `${stale.total} stale, ${wrong.total} wrong, ${notSent.total} not sent; p50 ${latency.p50.toFixed(1)}, p99 ${latency.p99.toFixed(1)}, ` +
  `max ${latency.max.toFixed(1)} ms (the load itself stood still for up to ${stalls.max.toFixed(1)} ms)`;

const reasons = (byReason: Readonly<Record<string, number>>): string => {
  const entries = Object.entries(byReason);
  return entries.length === 0 ? '' : ` (${entries.map(([reason, count]) => `${count} ${reason}`).join(', ')})`;
};

const texts: string[] = [];
for (const part of parts) if (values.only === undefined || values.only === part.name) texts.push(await measure(part));
if (values.only === undefined) {
  const command = `node bench/changes.ts --driver ${driver} --rate ${rate} --times ${times}`;
  const about = `\`${command}\`, ${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}; ${driver === 'process' ? (values.debug ? 'development' : 'release') : 'image'} builds; \`./bimetal load\`: ${rate} requests a second, 20 % writes, by intended send times.`;
  writeFileSync(
    resolve(folder, `../changes-${driver}.md`),
    `# Changed while it serves (driver ${driver})\n\n${about}\n\n${texts.join('\n')}`,
  );
}
