import { setTimeout as sleep } from 'node:timers/promises';
import { http } from '../process/http.ts';

/** Short, because every start of every test waits for it. */
const pollMs = 10;

export const isReady = async (probeUrl: string, timeoutMs = 1000): Promise<boolean> => {
  try {
    return (await http(`${probeUrl}/readyz`, { timeoutMs })).status === 200;
  } catch {
    return false;
  }
};

/** Resolves to whether it got ready before the signal was aborted. */
export const waitUntilReady = async (probeUrl: string, signal: AbortSignal): Promise<boolean> => {
  while (!signal.aborted) {
    if (await isReady(probeUrl)) return true;
    await sleep(pollMs);
  }
  return false;
};
