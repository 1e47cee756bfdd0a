import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Resolves when every thread of a process that was sent SIGSTOP stands: kill(2) returns before that, and until then it
 * takes connections. Where there is no /proc nobody can tell.
 */
export const whenStopped = async (pid: number, limitMs = 1_000): Promise<void> => {
  const end = performance.now() + limitMs;
  while (threadsOf(pid).some((thread) => !stands(pid, thread)) && performance.now() < end) await delay(1);
};

const threadsOf = (pid: number): string[] => {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
};

/** The state follows the name, which is in parentheses and may have any in it: T is stopped, Z ended. */
const stands = (pid: number, thread: string): boolean => {
  try {
    return /\) [TtZX] [^)]*$/.test(readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8'));
  } catch {
    return true; // it has ended
  }
};
