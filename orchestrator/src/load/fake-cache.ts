// A cache behind HTTP for the tests of the load, which misbehaves when it is told to.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Entry {
  readonly value: Buffer;
  readonly version: bigint;
}

/** What a request asks for, and what it may be given instead. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  /** Counts requests of this method from 1. */
  readonly number: number;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: Buffer;
}

/** Returns true when it has answered, or let the request go, itself. */
export type Misbehaviour = (exchange: Exchange, cache: FakeCache) => boolean | Promise<boolean>;

const decimal = (body: Buffer): bigint => BigInt(/"delta":"(\d+)"/.exec(body.toString())?.[1] ?? '0');

export class FakeCache implements AsyncDisposable {
  readonly entries = new Map<string, Entry>();
  /** What each key held before its newest write. */
  readonly former = new Map<string, Entry>();
  readonly counts = new Map<string, number>();
  /** Results by Idempotency-Key. */
  readonly results = new Map<string, (response: ServerResponse) => void>();
  readonly #misbehave: Misbehaviour;
  readonly #server: Server;
  /** Misbehaves only from then on: the keys are written first. */
  armed = false;
  #version = 1_000n;

  private constructor(misbehave: Misbehaviour) {
    this.#misbehave = misbehave;
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  static async start(misbehave: Misbehaviour = () => false): Promise<FakeCache> {
    const cache = new FakeCache(misbehave);
    await new Promise<void>((resolve) => cache.#server.listen(0, '127.0.0.1', resolve));
    return cache;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  set(path: string, value: Buffer): bigint {
    const before = this.entries.get(path);
    if (before) this.former.set(path, before);
    this.#version += 1n;
    this.entries.set(path, { value, version: this.#version });
    return this.#version;
  }

  /** What a node would answer, done. */
  execute({ method, path, request, response, body }: Exchange): void {
    const key = request.headers['idempotency-key'];
    const known = typeof key === 'string' ? this.results.get(key) : undefined;
    const result = known ?? this.#execute(method, path, request, body);
    if (typeof key === 'string') this.results.set(key, result);
    result(response);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #execute(method: string, path: string, request: IncomingMessage, body: Buffer): (response: ServerResponse) => void {
    const entry = this.entries.get(path);
    if (method === 'GET') return entry === undefined ? missing : answer(200, entry);
    if (method === 'DELETE') {
      this.entries.delete(path);
      return (response) => response.writeHead(204).end();
    }
    if (method === 'POST') {
      const counter = path.replace(/\/increment$/, '');
      const value = Buffer.from(String(BigInt(this.entries.get(counter)?.value.toString() ?? '0') + decimal(body)));
      const version = this.set(counter, value);
      return (response) => response.end(JSON.stringify({ value: value.toString(), version: String(version) }));
    }
    const expected = request.headers['if-match'];
    if (expected !== undefined && expected !== (entry && `"${entry.version}"`))
      return problem(412, 'PRECONDITION_FAILED', entry?.version);
    const version = this.set(path, body);
    return (response) => response.writeHead(entry ? 204 : 201, { etag: `"${version}"` }).end();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method = '', url: path = '' } = request;
    if (this.armed) this.counts.set(method, (this.counts.get(method) ?? 0) + 1);
    const number = this.counts.get(method) ?? 0;
    const exchange = { method, path, number, request, response, body: Buffer.concat(chunks) };
    if (this.armed && (await this.#misbehave(exchange, this))) return;
    this.execute(exchange);
  }
}

export const answer =
  (status: number, { value, version }: Entry) =>
  (response: ServerResponse): void =>
    void response.writeHead(status, { etag: `"${version}"` }).end(value);

export const problem =
  (status: number, reason: string, version?: bigint) =>
  (response: ServerResponse): void => {
    const etag = version === undefined ? {} : { etag: `"${version}"` };
    response.writeHead(status, { 'content-type': 'application/problem+json', ...etag });
    response.end(JSON.stringify({ status, reason, title: reason, detail: 'because the test says so' }));
  };

const missing = problem(404, 'KEY_NOT_FOUND');
