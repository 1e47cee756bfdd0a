// HTTP as it stands on the wire: the path is sent as it is given, nothing is normalised, and the body comes as bytes.
import { type Dispatcher, Pool } from 'undici';

export type Answer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly text: string;
  /** The body as JSON. */
  readonly json: () => unknown;
  /** The version in the ETag, or undefined. */
  readonly version: bigint | undefined;
};

export type Request = {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
};

const versionOf = (etag: string | undefined): bigint | undefined => {
  const [, digits] = /^"(\d+)"$/.exec(etag ?? '') ?? [];
  return digits === undefined ? undefined : BigInt(digits);
};

export class HttpClient {
  readonly #pool: Pool;

  /** A load that goes on while answers are owed needs a connection for each of them, else it waits for itself. */
  constructor(origin: string, connections = 64) {
    this.#pool = new Pool(origin, { connections, headersTimeout: 15_000, bodyTimeout: 15_000 });
  }

  async request(method: string, path: string, { headers = {}, body }: Request = {}): Promise<Answer> {
    const response = await this.#pool.request({
      method: method as Dispatcher.HttpMethod,
      path,
      headers,
      ...(body === undefined ? {} : { body }),
    });
    const bytes = Buffer.from(await response.body.arrayBuffer());
    const flat = Object.fromEntries(
      Object.entries(response.headers).map(([name, value]) => [
        name,
        Array.isArray(value) ? value.join(', ') : String(value),
      ]),
    );
    const text = bytes.toString('utf8');
    return {
      status: response.statusCode,
      headers: flat,
      body: bytes,
      text,
      json: () => JSON.parse(text) as unknown,
      version: versionOf(flat['etag']),
    };
  }

  get(path: string, headers?: Record<string, string>): Promise<Answer> {
    return this.request('GET', path, headers ? { headers } : {});
  }

  put(path: string, body: string | Buffer, headers: Record<string, string> = {}): Promise<Answer> {
    return this.request('PUT', path, { headers, body });
  }

  /** A JSON body. */
  post(path: string, body: unknown = {}, headers: Record<string, string> = {}): Promise<Answer> {
    return this.request('POST', path, {
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
  }

  delete(path: string, headers?: Record<string, string>): Promise<Answer> {
    return this.request('DELETE', path, headers ? { headers } : {});
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

/** The path of a key in the namespace `demo`. */
export const entry = (key: string, namespace = 'demo'): string => `/v1/cache/${namespace}/${encodeURIComponent(key)}`;
