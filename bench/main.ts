// `npm run bench`: see README.md. `-- --quick` takes one round of one second, to see that it works.
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { startPlatform } from '../orchestrator/src/index.ts';
import { measureHttpGet } from './http-get.ts';
import { version } from './measure.ts';
import { measureMemory, measureNode } from './node.ts';
import { measureNodeLost } from './node-lost.ts';
import { writeReport } from './report.ts';

const quick = process.argv.includes('--quick');
const rounds = quick ? 1 : 5;
const seconds = quick ? 1 : 4;
const docs = resolve(import.meta.dirname, '../docs');

const say = (text: string): void => console.error(`bench: ${text}`);

const versions = {
  go: await version('go', 'version'),
  rust: await version('rustc', '--version'),
  node: process.version,
  wrk: (await version('wrk', '--version'))?.replace(/ Copyright.*/, ''),
  redis: (await version('redis-server', '--version'))?.replace(/ sha=.*/, ''),
};
const leftOut = [
  ...(versions.wrk === undefined ? ['HTTP, because wrk is not installed (Debian: apt-get install wrk)'] : []),
  ...(versions.redis === undefined
    ? ['redis, because it is not installed (Debian: apt-get install redis-server)']
    : []),
];
for (const what of leftOut) say(`left out: ${what}`);

say('builds the release binaries and starts the platform');
const { httpGet, nodeLost } = await (async () => {
  await using platform = await startPlatform({
    name: 'bench',
    ports: 'free',
    driver: 'process',
    release: true,
    quiet: true,
  });
  say('a node is lost');
  const nodeLost = await measureNodeLost(platform, rounds, quick ? 1 : 10);
  say('HTTP GET');
  const httpGet = versions.wrk === undefined ? undefined : await measureHttpGet(platform, rounds, seconds);
  return { httpGet, nodeLost };
})();
say('one node by gRPC');
const node = await measureNode(rounds, seconds, versions.redis !== undefined);
say('memory per entry');
const memory = await measureMemory();

await writeReport(docs, {
  date: new Date().toISOString().slice(0, 10),
  machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
  versions: Object.fromEntries(
    Object.entries(versions).filter((entry): entry is [string, string] => entry[1] !== undefined),
  ),
  rounds,
  secondsPerRound: seconds,
  httpGet,
  node,
  memory,
  nodeLost,
  leftOut,
});
say(`wrote ${join('docs', 'performance.md')}, performance.json, performance.svg`);
