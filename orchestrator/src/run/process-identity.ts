import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** When a process started, in the system's own notation: with the pid it names a process for good. */
export const startTimeOf = (pid: number): string | undefined => {
  try {
    if (process.platform === 'linux') {
      // Field 22 of /proc/PID/stat, counted after the command, which may hold anything. A zombie counts as gone.
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
      return fields[0] === 'Z' ? undefined : fields[19];
    }
    return (
      execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', stdio: 'pipe' }).trim() || undefined
    );
  } catch {
    return undefined;
  }
};

export const isSameProcess = (pid: number, startTime: string): boolean => startTimeOf(pid) === startTime;
