// The reaper: a process in a session of its own that outlives the orchestrator by a moment. It reads lines from
// standard input; when that closes, the owner is gone, however it ended, and the reaper ends what is still there.
//
//   group PGID      a process group was started           ungroup PGID   it has ended
//   project NAME    a compose project may have containers
//   file PATH       a file or folder to be removed in the end
//
// It uses nothing but Node, so that it is up before the first child is.
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

/** Between SIGTERM and SIGKILL. Services that watch their standard input have begun to drain already. */
const graceMs = 1000;

const groups = new Set<number>();
const projects = new Set<string>();
const files = new Set<string>();

const commands: Record<string, (argument: string) => void> = {
  group: (id) => groups.add(Number(id)),
  ungroup: (id) => groups.delete(Number(id)),
  project: (name) => projects.add(name),
  file: (path) => files.add(path),
};

const signalGroup = (group: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(-group, signal);
  } catch {
    groups.delete(group);
  }
};

/** A group of zombies only still takes signals; on Linux /proc tells them apart. */
const isAlive = (group: number): boolean => {
  try {
    process.kill(-group, 0);
  } catch {
    return false;
  }
  if (process.platform !== 'linux') return true;
  return readdirSync('/proc').some((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const [state, , pgrp] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
      return Number(pgrp) === group && state !== 'Z';
    } catch {
      return false;
    }
  });
};

const endGroups = async (): Promise<void> => {
  // A stopped process acts on SIGTERM only once it is continued.
  for (const group of groups) signalGroup(group, 'SIGTERM');
  for (const group of groups) signalGroup(group, 'SIGCONT');
  const deadline = Date.now() + graceMs;
  while (Date.now() < deadline && [...groups].some(isAlive)) await sleep(20);
  for (const group of groups) signalGroup(group, 'SIGKILL');
};

const docker = async (...args: string[]): Promise<string[]> => {
  try {
    const { stdout } = await promisify(execFile)('docker', args, { timeout: 10_000 });
    return stdout.split('\n').filter((line) => line !== '');
  } catch {
    return [];
  }
};

/** The engine may still be working on a request of a command that was just killed: look until nothing is new. */
const removeProject = async (name: string): Promise<void> => {
  const label = `label=com.docker.compose.project=${name}`;
  for (let quiet = 0; ; ) {
    const [containers, networks] = await Promise.all([
      docker('ps', '--all', '--quiet', '--filter', label),
      docker('network', 'ls', '--quiet', '--filter', label),
    ]);
    if (containers.length > 0) await docker('rm', '--force', '--volumes', ...containers);
    if (networks.length > 0) await docker('network', 'rm', ...networks);
    quiet = containers.length + networks.length > 0 ? 0 : quiet + 1;
    if (quiet === 3) return;
    await sleep(100);
  }
};

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});

for await (const line of createInterface({ input: process.stdin })) {
  const space = line.indexOf(' ');
  commands[line.slice(0, space)]?.(line.slice(space + 1));
}
await Promise.all([endGroups(), ...[...projects].map(removeProject)]);
for (const file of files) rmSync(file, { recursive: true, force: true });
