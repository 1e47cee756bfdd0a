import { setTimeout as sleep } from 'node:timers/promises';
import { http } from '../process/http.ts';

/** Short, because every start of every test waits for it. */
const pollMs = 10;

/** `/livez`: it listens, be it ready or not; `/readyz`: it serves. */
type Probe = '/livez' | '/readyz';

const isOk = async (url: string, timeoutMs: number): Promise<boolean> => {
  try {
    return (await http(url, { timeoutMs })).status === 200;
  } catch {
    return false;
  }
};

export const isReady = (probeUrl: string, timeoutMs = 1000): Promise<boolean> => isOk(`${probeUrl}/readyz`, timeoutMs);

/** Resolves to whether it answered so before the signal was aborted. */
export const waitUntil = async (probeUrl: string, probe: Probe, signal: AbortSignal): Promise<boolean> => {
  while (!signal.aborted) {
    if (await isOk(`${probeUrl}${probe}`, 1000)) return true;
    await sleep(pollMs);
  }
  return false;
};

export const waitUntilReady = (probeUrl: string, signal: AbortSignal): Promise<boolean> =>
  waitUntil(probeUrl, '/readyz', signal);
