// One million entries written when a node is drained, and loaded by the next process. The node's own figures are those of
// its log; from SIGTERM to its end, and from its start to readiness, is what an operator waits.
//
//   node bench/snapshot.ts [--rounds 5]
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { waitUntilReady } from '../orchestrator/src/drivers/health.ts';
import { figureOf } from './measure.ts';
import { buildNode, load } from './node.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } });
const rounds = Number(values.rounds);
const entries = 1_000_000;
const root = resolve(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'bimetal-snapshot-'));

interface Line {
  readonly msg: string;
  readonly seconds: number;
  readonly entries: number;
  readonly bytes: number;
  readonly addresses: { readonly grpc: string; readonly admin: string };
}

const children = new Set<ChildProcess>();

/** A node with the folder, from its start to its end. */
const startNode = () => {
  const begin = performance.now();
  const args = ['--grpc-listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--log-format', 'json'];
  const child = spawn(
    join(root, 'target/release/bimetal-cache'),
    [...args, '--memory-limit', '1GiB', '--data-dir', folder, '--drain-delay', '0s'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  children.add(child.once('exit', () => children.delete(child)));
  const lines = new Map<string, PromiseWithResolvers<Line>>();
  const lineOf = (msg: string): PromiseWithResolvers<Line> => {
    const line = lines.get(msg) ?? Promise.withResolvers<Line>();
    lines.set(msg, line);
    return line;
  };
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line: Line = JSON.parse(text);
    lineOf(line.msg).resolve(line);
  });
  const said = (msg: string): Promise<Line> => lineOf(msg).promise;
  const ready = async (): Promise<number> => {
    const { addresses } = await said('listening');
    if (!(await waitUntilReady(`http://${addresses.admin}`, AbortSignal.timeout(30_000))))
      throw new Error('the node is not ready after 30 s');
    return performance.now() - begin;
  };
  const end = async (): Promise<number> => {
    const asked = performance.now();
    child.kill('SIGTERM');
    await once(child, 'exit');
    return performance.now() - asked;
  };
  return { pid: String(child.pid), said, ready, end };
};

await buildNode();
const found = { write: [] as number[], end: [] as number[], load: [] as number[], ready: [] as number[] };
let bytes = 0;
try {
  for (let round = 0; round < rounds; round += 1) {
    const former = startNode();
    await former.ready();
    const { addresses } = await former.said('listening');
    await load('--address', addresses.grpc, '--pid', former.pid, '--mode', 'fill', '--entries', String(entries));
    found.end.push(await former.end());
    const written = await former.said('snapshot written');
    const next = startNode();
    found.ready.push(await next.ready());
    const loaded = await next.said('snapshot loaded');
    if (written.entries < entries || loaded.entries !== written.entries)
      throw new Error(`${written.entries} entries were written, ${loaded.entries} loaded`);
    found.write.push(1_000 * written.seconds);
    found.load.push(1_000 * loaded.seconds);
    bytes = written.bytes;
    await next.end();
    rmSync(join(folder, 'snapshot'), { force: true });
  }
} finally {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}
const text = (values: readonly number[]): string => {
  const { median, min, max } = figureOf(values);
  return `${median.toFixed(0)} ms (${min.toFixed(0)}–${max.toFixed(0)})`;
};
console.log(
  `${entries.toLocaleString('en')} entries, ${(bytes / 2 ** 20).toFixed(1)} MiB, ${rounds} rounds: ` +
    `written in ${text(found.write)}, ended ${text(found.end)} after SIGTERM; ` +
    `loaded in ${text(found.load)}, ready ${text(found.ready)} after its start`,
);
