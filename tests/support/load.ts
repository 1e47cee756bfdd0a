// A constant rate of reads and writes, each answer classed by the node that owns its key.
import { ownerOf } from '../../contract/ts/index.ts';
import type { HttpClient } from './http.ts';
import { entry } from './http.ts';

export type Outcome = {
  readonly node: string;
  /** Milliseconds since the load began: when it was due, and when the answer was there. */
  readonly due: number;
  readonly end: number;
  readonly method: 'GET' | 'PUT';
  readonly status: number;
  /** The reason of the problem, or "" for an answer that is none. */
  readonly reason: string;
};

export type Load = {
  /** Milliseconds since the load began. */
  now(): number;
  /** Ends the load and resolves, when all answers are there, with what happened. */
  stop(): Promise<Outcome[]>;
};

const reasonIn = (text: string): string => /"reason":"([A-Z_]+)"/.exec(text)?.[1] ?? '';

/** `rate` requests a second, one in five a write, over `keys` keys. */
export const startLoad = (
  http: HttpClient,
  nodes: readonly { readonly name: string }[],
  rate: number,
  keys = 500,
): Load => {
  const begin = performance.now();
  const now = (): number => performance.now() - begin;
  const outcomes: Outcome[] = [];
  const pending = new Set<Promise<void>>();
  let sent = 0;

  const send = async (number: number): Promise<void> => {
    const key = `load-${number % keys}`;
    const node = ownerOf(nodes, 'demo', key)?.name ?? '';
    const method = number % 5 === 0 ? 'PUT' : 'GET';
    const due = (number * 1_000) / rate;
    const answer = method === 'PUT' ? http.put(entry(key), `value ${number}`) : http.get(entry(key));
    const { status, reason } = await answer.then(
      ({ status, text }) => ({ status, reason: reasonIn(text) }),
      (error: unknown) => ({ status: 0, reason: error instanceof Error ? error.message : String(error) }),
    );
    outcomes.push({ node, due, end: now(), method, status, reason });
  };

  const timer = setInterval(() => {
    const target = Math.floor((now() * rate) / 1_000);
    for (; sent < target; sent++) {
      const answered: Promise<void> = send(sent).finally(() => pending.delete(answered));
      pending.add(answered);
    }
  }, 1);

  return {
    now,
    async stop() {
      clearInterval(timer);
      await Promise.all(pending);
      return outcomes;
    },
  };
};

/** An answer that a client of a cache can work with: a hit, a miss, or a write that was done. */
export const isServed = ({ status }: Outcome): boolean => [200, 201, 204, 404].includes(status);
