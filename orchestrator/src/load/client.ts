import { type Dispatcher, Pool } from 'undici';
import { systemCodeOf } from '../errors.ts';

export interface Request {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
}

/** An answer of whatever status, or a connection that gave none. */
export type Outcome =
  | {
      readonly kind: 'answer';
      readonly status: number;
      /** From a strong ETag that is a version. */
      readonly version: bigint | undefined;
      readonly body: Buffer;
    }
  | {
      readonly kind: 'broken';
      readonly reason: string;
      /** A byte of the request may have reached the server. */
      readonly sent: boolean;
    };

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection reset',
  UND_ERR_SOCKET: 'connection closed without an answer',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  UND_ERR_BODY_TIMEOUT: 'no answer in time',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'answer cut short',
};

const reasonOf = (error: Error): string => {
  const code = systemCodeOf(error) ?? '';
  return reasons[code] ?? (code.startsWith('HPE_') ? 'answer is not HTTP' : error.message);
};

const versionOf = (etag: string | string[] | undefined): bigint | undefined => {
  const [, digits] = typeof etag === 'string' ? (/^"(\d{1,20})"$/.exec(etag) ?? []) : [];
  return digits === undefined ? undefined : BigInt(digits);
};

const nothing = Buffer.alloc(0);

/** One request and its answer. Leaner than `request`: no stream, no promise. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #done: (outcome: Outcome) => void;
  #started = false;
  #status = 0;
  #version: bigint | undefined;
  #body: Buffer = nothing;
  #more: Buffer[] | undefined;

  constructor(done: (outcome: Outcome) => void) {
    this.#done = done;
  }

  onRequestStart(): void {
    this.#started = true;
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Record<string, unknown>): void {
    this.#status = status;
    this.#version = versionOf(headers['etag'] as string | undefined);
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#body.length === 0) this.#body = chunk;
    else {
      this.#more ??= [this.#body];
      this.#more.push(chunk);
    }
  }

  onResponseEnd(): void {
    const body = this.#more ? Buffer.concat(this.#more) : this.#body;
    this.#done({ kind: 'answer', status: this.#status, version: this.#version, body });
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#done({ kind: 'broken', reason: reasonOf(error), sent: this.#started });
  }
}

/**
 * An idle connection is closed before a gateway that drains (2 s) would close it: otherwise a request could be written
 * to a connection that is being closed, which HTTP/1.1 cannot tell from a lost request.
 */
const idleMs = 1_000;

export interface ClientOptions {
  readonly urls: readonly string[];
  readonly connections: number;
  readonly timeoutMs: number;
}

/** Connections to the gateways, which are asked in turn. */
export class Client {
  readonly #pools: readonly Pool[];
  #turn = 0;

  constructor({ urls, connections, timeoutMs }: ClientOptions) {
    this.#pools = urls.map(
      (url) =>
        new Pool(url, {
          connections,
          pipelining: 1,
          keepAliveTimeout: idleMs,
          keepAliveMaxTimeout: idleMs,
          headersTimeout: timeoutMs,
          bodyTimeout: timeoutMs,
          connectTimeout: timeoutMs,
        }),
    );
  }

  /** Calls back exactly once. */
  send({ method, path, headers, body }: Request, done: (outcome: Outcome) => void): void {
    const pool = this.#pools[this.#turn++ % this.#pools.length];
    pool?.dispatch(
      { method, path, ...(headers && { headers }), ...(body !== undefined && { body }) },
      new Exchange(done),
    );
  }

  ask(request: Request): Promise<Outcome> {
    return new Promise((resolve) => this.send(request, resolve));
  }

  async close(): Promise<void> {
    await Promise.all(this.#pools.map((pool) => pool.destroy()));
  }
}
