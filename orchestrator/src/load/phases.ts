// What is done before and after the load proper: outside of its rate, and not in its latencies.
import { OrchestratorError } from '../errors.ts';
import type { Client, Outcome } from './client.ts';
import type { Keyspace } from './keyspace.ts';
import { read, seenOf, write } from './operations.ts';
import type { Recorder } from './recorder.ts';

const inParallel = 64;
const pauseMs = 50;

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, pauseMs));

const forEach = async <Item>(items: readonly Item[], act: (item: Item) => Promise<void>): Promise<void> => {
  const rest = items.values();
  const worker = async (): Promise<void> => {
    for (const item of rest) await act(item);
  };
  await Promise.all(Array.from({ length: Math.min(inParallel, items.length) }, worker));
};

/** Writes every key once, so that reads have something to find. */
export const fillKeys = async (
  client: Client,
  keys: Keyspace,
  writer: string,
  pickSize: () => number,
  patienceMs: number,
  signal: AbortSignal,
): Promise<void> => {
  const deadline = Date.now() + patienceMs;
  await forEach(keys.registers, async (place) => {
    for (;;) {
      if (signal.aborted) return;
      const operation = write(place, writer, pickSize());
      const outcome = await client.ask(operation.request);
      const { failed } = operation.settle(outcome, false);
      if (failed === undefined) return;
      if (Date.now() > deadline) {
        throw new OrchestratorError('REQUEST_FAILED', `The first write to ${place.path} failed: ${failed}.`, {
          ...(outcome.kind === 'answer' && { details: outcome.body.toString() }),
        });
      }
      await pause();
    }
  });
};

/**
 * Reads every key once more, when nothing is written any longer: the last acknowledged write of each must be there.
 * Returns how many could not be read.
 */
export const verifyKeys = async (
  client: Client,
  keys: Keyspace,
  recorder: Recorder,
  now: number,
  patienceMs: number,
): Promise<number> => {
  const deadline = Date.now() + patienceMs;
  let unverified = 0;
  await forEach(keys.all, async (place) => {
    for (;;) {
      const operation = read(place, true);
      const outcome = await client.ask(operation.request);
      if (seenOf(outcome)) {
        recorder.finding(operation, operation.settle(outcome, false), now);
        return;
      }
      if (Date.now() > deadline) {
        unverified += 1;
        return;
      }
      await pause();
    }
  });
  return unverified;
};

const isDone = (outcome: Outcome): boolean => outcome.kind === 'answer' && outcome.status < 300;

/** Removes what the load wrote. Returns how many keys could not be removed. */
export const sweepKeys = async (client: Client, keys: Keyspace, patienceMs: number): Promise<number> => {
  let left = 0;
  const deadline = Date.now() + patienceMs;
  await forEach(keys.paths, async (path) => {
    for (;;) {
      const outcome = await client.ask({ method: 'DELETE', path });
      if (isDone(outcome)) return;
      if (Date.now() > deadline) {
        left += 1;
        return;
      }
      await pause();
    }
  });
  return left;
};
