// Plays a trace through the gateway as a cache-aside client: read; on a miss, write.
import { build, type Histogram } from 'hdr-histogram-js';
import { ownerOf } from '../../../contract/ts/ownership.ts';
import { Client } from '../load/client.ts';
import { seenOf } from '../load/operations.ts';
import { Schedule } from '../load/schedule.ts';
import { failureOf } from '../load/verdict.ts';
import { ExactLru } from './lru.ts';
import { isValueOf, pageKey, pagePath, pageValue } from './page.ts';
import { makeRoom, type ReplayTarget, type Room, removeRoom } from './room.ts';
import { readTrace } from './trace.ts';

export type ReplayOptions = {
  readonly file: string;
  /** Room for so many entries, over all nodes. */
  readonly entries: number;
  /** The size of every value in bytes, at least 40. */
  readonly valueBytes: number;
  /** References a second; undefined: as fast as it can. */
  readonly rate: number | undefined;
  /** Requests in flight at the most, and connections. */
  readonly connections: number;
  /** Stop after so many references; undefined: play all. */
  readonly limit: number | undefined;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ReplayProgress) => void;
};

export type ReplayProgress = {
  readonly references: number;
  readonly hits: number;
  readonly misses: number;
  readonly errors: number;
};

export type NodeCounts = { readonly name: string; hits: number; misses: number; lruHits: number; lruMisses: number };

export type ReplayResult = {
  readonly options: Omit<ReplayOptions, 'signal' | 'onProgress'>;
  readonly room: Room;
  readonly startedAt: string;
  readonly seconds: number;
  readonly references: number;
  readonly hits: number;
  readonly misses: number;
  readonly reads: number;
  readonly writes: number;
  /** What went wrong, by reason. Empty: nothing. */
  readonly errors: Readonly<Record<string, number>>;
  readonly nodes: readonly NodeCounts[];
  /** An exact LRU of the bytes of all nodes together. */
  readonly lruWhole: { readonly hits: number; readonly misses: number };
  /** Latency of reads in microseconds; from the intended times when at a rate. */
  readonly readLatency: Histogram;
  readonly writeLatency: Histogram;
  /** Hit ratio of the cache and of the exact LRU (split by node), per hundredth of the references, for the plot. */
  readonly course: readonly { readonly references: number; readonly hitRatio: number; readonly lruHitRatio: number }[];
};

const histogram = (): Histogram =>
  build({ lowestDiscernibleValue: 1, highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: 3 });

const microseconds = (from: number): number => Math.max(1, Math.round((performance.now() - from) * 1_000));

const courseStep = 10_000;

/** One run: the counts grow while it plays. */
class Replay {
  readonly #client: Client;
  readonly #room: Room;
  readonly #valueBytes: number;
  readonly readLatency = histogram();
  readonly writeLatency = histogram();
  readonly errors: Record<string, number> = {};
  readonly nodes: NodeCounts[];
  readonly course: { references: number; hitRatio: number; lruHitRatio: number }[] = [];
  readonly lruWhole: ExactLru;
  readonly #lruByNode: Map<string, ExactLru>;
  references = 0;
  hits = 0;
  misses = 0;
  writes = 0;
  #courseHits = 0;
  #courseLruHits = 0;

  constructor(client: Client, target: ReplayTarget, room: Room, valueBytes: number) {
    this.#client = client;
    this.#room = room;
    this.#valueBytes = valueBytes;
    const perNode = Math.floor(room.quotaBytes / room.entryBytes);
    this.nodes = target.nodes.map(({ name }) => ({ name, hits: 0, misses: 0, lruHits: 0, lruMisses: 0 }));
    this.#lruByNode = new Map(target.nodes.map(({ name }) => [name, new ExactLru(perNode)]));
    this.lruWhole = new ExactLru(perNode * target.nodes.length);
  }

  /** Tells the reference caches; called in the order of the trace. */
  refer(page: number): NodeCounts {
    const node = ownerOf(this.nodes, this.#room.namespace, pageKey(page));
    const lru = this.#lruByNode.get(node?.name ?? '');
    if (node === undefined || lru === undefined) throw new Error('the platform has no nodes');
    this.lruWhole.refer(page);
    lru.refer(page);
    node.lruHits = lru.hits;
    node.lruMisses = lru.misses;
    return node;
  }

  /** One reference: the read and, on a miss, the write. */
  async play(page: number, node: NodeCounts, intended: number): Promise<void> {
    const path = pagePath(this.#room.namespace, page);
    const outcome = await this.#client.ask({ method: 'GET', path });
    const seen = seenOf(outcome);
    if (outcome.kind === 'answer') this.readLatency.recordValue(microseconds(intended));
    if (seen === undefined) this.#count(`read: ${failureOf(outcome).why}`);
    else if (seen.found) {
      if (!isValueOf(page, seen.body.toString())) this.#count('wrong value');
      this.hits += 1;
      node.hits += 1;
    } else {
      this.misses += 1;
      node.misses += 1;
      await this.#write(path, page);
    }
    this.references += 1;
    if (this.references % courseStep === 0) this.#recordCourse();
  }

  async #write(path: string, page: number): Promise<void> {
    const from = performance.now();
    const headers = { 'content-type': 'application/json' };
    const body = pageValue(page, this.#valueBytes);
    const outcome = await this.#client.ask({ method: 'PUT', path, headers, body });
    if (outcome.kind === 'answer') this.writeLatency.recordValue(microseconds(from));
    this.writes += 1;
    if (outcome.kind === 'broken' || (outcome.status !== 201 && outcome.status !== 204))
      this.#count(`write: ${failureOf(outcome).why}`);
  }

  #count(what: string): void {
    this.errors[what] = (this.errors[what] ?? 0) + 1;
  }

  #recordCourse(): void {
    const lruHits = this.nodes.reduce((sum, node) => sum + node.lruHits, 0);
    this.course.push({
      references: this.references,
      hitRatio: (this.hits - this.#courseHits) / courseStep,
      lruHitRatio: (lruHits - this.#courseLruHits) / courseStep,
    });
    this.#courseHits = this.hits;
    this.#courseLruHits = lruHits;
  }
}

/** Waits until the intended time of the next reference; returns that time. */
const pacer = (rate: number | undefined): (() => Promise<number> | number) => {
  if (rate === undefined) return () => performance.now();
  const schedule = new Schedule([{ rate, seconds: Number.POSITIVE_INFINITY }]);
  const begin = performance.now();
  return async () => {
    const intended = begin + (schedule.next ?? 0);
    schedule.take();
    while (performance.now() < intended) await new Promise((resolve) => setTimeout(resolve, 1));
    return intended;
  };
};

/**
 * Feeds the trace to the run. References to the same page are played one after the other, as a client with one thread
 * for each page would: otherwise a page that is asked for twice at once would be counted as two misses.
 */
const feed = async (run: Replay, options: ReplayOptions): Promise<void> => {
  const inFlight = new Map<number, Promise<void>>();
  const next = pacer(options.rate);
  let active = 0;
  let wake: (() => void) | undefined;
  let sent = 0;
  for await (const page of readTrace(options.file)) {
    if (options.signal?.aborted || (options.limit !== undefined && sent >= options.limit)) break;
    const intended = await next();
    while (active >= options.connections) await new Promise<void>((resolve) => (wake = resolve));
    const node = run.refer(page);
    active += 1;
    sent += 1;
    const from = options.rate === undefined ? performance.now() : intended;
    const before = inFlight.get(page);
    const played = (
      before === undefined ? run.play(page, node, from) : before.then(() => run.play(page, node, from))
    ).then(() => {
      active -= 1;
      if (inFlight.get(page) === played) inFlight.delete(page);
      wake?.();
    });
    inFlight.set(page, played);
  }
  await Promise.all(inFlight.values());
};

/** Plays a trace against a running platform, in a namespace of its own that is removed in the end. */
export const replay = async (target: ReplayTarget, options: ReplayOptions): Promise<ReplayResult> => {
  const { signal, onProgress, ...settings } = options;
  const room = await makeRoom(target, options.entries, options.valueBytes);
  const client = new Client({ urls: [target.gatewayUrl], connections: options.connections, timeoutMs: 10_000 });
  const run = new Replay(client, target, room, options.valueBytes);
  const errors = (): number => Object.values(run.errors).reduce((sum, count) => sum + count, 0);
  const progress = setInterval(
    () => onProgress?.({ references: run.references, hits: run.hits, misses: run.misses, errors: errors() }),
    1_000,
  );
  const startedAt = new Date().toISOString();
  const begin = performance.now();
  try {
    await feed(run, options);
    const seconds = (performance.now() - begin) / 1_000;
    const { references, hits, misses, writes, nodes, readLatency, writeLatency, course } = run;
    const lruWhole = { hits: run.lruWhole.hits, misses: run.lruWhole.misses };
    return {
      options: settings,
      room,
      startedAt,
      seconds,
      references,
      hits,
      misses,
      reads: references,
      writes,
      errors: run.errors,
      nodes,
      lruWhole,
      readLatency,
      writeLatency,
      course,
    };
  } finally {
    clearInterval(progress);
    await client.close();
    await removeRoom(target, room);
  }
};
