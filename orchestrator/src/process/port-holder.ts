import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Who listens on a TCP port of this machine: "pid 1234 (bimetal-gateway)", as far as we may know. */
export const describePortHolder = (port: number): string => {
  const pid = process.platform === 'linux' ? findOnLinux(port) : findByLsof(port);
  if (pid === undefined) return 'a process of another user';
  return `pid ${pid} (${commandOf(pid)})`;
};

const findOnLinux = (port: number): number | undefined => {
  const inodes = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) => listeningInodes(file, port)));
  if (inodes.size === 0) return undefined;
  const holder = readdirSync('/proc').find((pid) => /^\d+$/.test(pid) && holdsSocket(pid, inodes));
  return holder === undefined ? undefined : Number(holder);
};

/** Columns of /proc/net/tcp: `sl local_address rem_address st … inode`; state 0A is LISTEN, numbers are hexadecimal. */
const listeningInodes = (file: string, port: number): string[] => {
  const hexPort = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readLines(file).flatMap((line) => {
    const columns = line.trim().split(/\s+/);
    const [, local = '', , state] = columns;
    return state === '0A' && local.endsWith(hexPort) ? [columns[9] ?? ''] : [];
  });
};

const readLines = (file: string): string[] => {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch {
    return [];
  }
};

const holdsSocket = (pid: string, inodes: ReadonlySet<string>): boolean => {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
        return inode !== undefined && inodes.has(inode);
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
};

const findByLsof = (port: number): number | undefined => {
  try {
    const pid = execFileSync('lsof', ['-t', '-nP', `-iTCP:${port}`, '-sTCP:LISTEN'], {
      encoding: 'utf8',
      stdio: 'pipe',
    });
    return Number.parseInt(pid, 10) || undefined;
  } catch {
    return undefined;
  }
};

const commandOf = (pid: number): string => {
  try {
    if (process.platform === 'linux') {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim().slice(0, 100);
    }
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' })
      .trim()
      .slice(0, 100);
  } catch {
    return 'name unknown';
  }
};
