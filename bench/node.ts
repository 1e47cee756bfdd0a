// gRPC at one node, without a gateway: unary and Pipeline, beside redis where it is installed; memory per entry.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { alternate, cpuSeconds, type Figure, figureOf, loadCore, pin, serverCore } from './measure.ts';

const root = resolve(import.meta.dirname, '..');
const run = promisify(execFile);

export type NodeRow = {
  readonly side: string;
  readonly operationsPerSecond: Figure;
  /** Operations for one second of the server's CPU. */
  readonly perServerCpuSecond: Figure;
};

export type MemoryPerEntry = {
  readonly entries: number;
  readonly bytesPerEntry: number;
  readonly overKeyAndValue: number;
};

type Round = { readonly perSecond: number; readonly perServerCpuSecond: number };

/** A node of its own, without a topology, on the server's core. */
const startNode = async (...settings: string[]): Promise<{ child: ChildProcess; pid: number; address: string }> => {
  const args = ['--grpc-listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--log-format', 'json', ...settings];
  const child = spawn(join(root, 'target/release/bimetal-cache'), args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'] },
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const { addresses } = JSON.parse(line) as { addresses?: { grpc: string } };
    if (addresses === undefined || child.pid === undefined) continue;
    await pin(child.pid, serverCore);
    return { child, pid: child.pid, address: addresses.grpc };
  }
  throw new Error('the node did not start');
};

export const load = async (...args: string[]): Promise<Record<string, number>> => {
  const program = join(root, 'target/release/examples/load');
  const { stdout } = await run('taskset', ['-c', loadCore, program, ...args], { timeout: 300_000 });
  return JSON.parse(stdout) as Record<string, number>;
};

const loadRound = async (address: string, pid: number, seconds: number, ...args: string[]): Promise<Round> => {
  const result = await load('--address', address, '--pid', String(pid), '--seconds', String(seconds), ...args);
  return { perSecond: result['per_second'] ?? 0, perServerCpuSecond: result['per_server_cpu_second'] ?? 0 };
};

const isOpen = (port: number): Promise<boolean> =>
  new Promise((done) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => done(true)).once('error', () => done(false));
    socket.once('connect', () => socket.destroy());
  });

const redisPort = 27_379;

/** No persistence: its best fair settings for a cache. */
const startRedis = async (folder: string): Promise<ChildProcess> => {
  const args = [
    '-c',
    serverCore,
    'redis-server',
    '--port',
    String(redisPort),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    '--dir',
    folder,
  ];
  const child = spawn('taskset', args, { stdio: 'ignore' });
  for (let tries = 0; tries < 200 && !(await isOpen(redisPort)); tries++)
    await new Promise((wait) => setTimeout(wait, 25));
  return child;
};

/** redis-benchmark runs 4 clients that pipeline 64 commands each; it spins for ever when its server dies, hence the limit. */
const redisRound = async (pid: number): Promise<Round> => {
  const operations = 3_000_000;
  const before = cpuSeconds(pid);
  const begin = performance.now();
  const args = [
    '-c',
    loadCore,
    'redis-benchmark',
    '-p',
    String(redisPort),
    '-t',
    'get',
    '-n',
    String(operations),
    '-c',
    '4',
    '-P',
    '64',
    '-d',
    '64',
    '-r',
    '100000',
    '-q',
  ];
  await run('taskset', args, { timeout: 60_000 });
  const seconds = (performance.now() - begin) / 1_000;
  return { perSecond: operations / seconds, perServerCpuSecond: operations / (cpuSeconds(pid) - before) };
};

const rowOf = (side: string, rounds: readonly Round[]): NodeRow => ({
  side,
  operationsPerSecond: figureOf(rounds.map((round) => round.perSecond)),
  perServerCpuSecond: figureOf(rounds.map((round) => round.perServerCpuSecond)),
});

/** The node and its load, optimised. */
export const buildNode = async (): Promise<void> => {
  await run(
    'cargo',
    ['build', '--quiet', '--release', '--locked', '-p', 'bimetal-cache', '--bin', 'bimetal-cache', '--example', 'load'],
    { cwd: root },
  );
};

export const measureNode = async (rounds: number, seconds: number, withRedis: boolean): Promise<NodeRow[]> => {
  await buildNode();
  const node = await startNode();
  const folder = await mkdtemp(join(tmpdir(), 'bimetal-bench-'));
  const redis = withRedis ? await startRedis(folder) : undefined;
  try {
    const pipeline = (batch: number) => () =>
      loadRound(node.address, node.pid, seconds, '--mode', 'pipeline', '--batch', String(batch), '--reads', '100');
    const unary = () =>
      loadRound(node.address, node.pid, seconds, '--mode', 'unary', '--streams', '16', '--reads', '100');
    const sides: Record<string, () => Promise<Round>> = {
      'unary Get, 16 callers': unary,
      'Pipeline, batches of 64 Get': pipeline(64),
      'Pipeline, batches of 512 Get': pipeline(512),
    };
    // taskset executes the server in its own place: its pid is the server's.
    const redisPid = redis?.pid;
    if (redisPid !== undefined) {
      const keys = ['-p', String(redisPort), '-t', 'set', '-n', '300000', '-P', '64', '-d', '64', '-r', '100000', '-q'];
      await run('redis-benchmark', keys, { timeout: 60_000 });
      sides['redis GET, pipeline of 64'] = () => redisRound(redisPid);
    }
    const results = await alternate(sides, rounds);
    return Object.entries(results).map(([side, found]) => rowOf(side, found));
  } finally {
    node.child.kill();
    redis?.kill();
    await rm(folder, { recursive: true, force: true });
  }
};

/** One million entries of a 20-byte key and a 32-byte value, in a node with room for all of them. */
export const measureMemory = async (): Promise<MemoryPerEntry> => {
  const node = await startNode('--memory-limit', '1GiB');
  try {
    const filled = await load(
      '--address',
      node.address,
      '--pid',
      String(node.pid),
      '--mode',
      'fill',
      '--entries',
      '1000000',
    );
    return {
      entries: filled['entries'] ?? 0,
      bytesPerEntry: filled['bytes_per_entry'] ?? 0,
      overKeyAndValue: filled['over_key_and_value'] ?? 0,
    };
  } finally {
    node.child.kill();
  }
};
