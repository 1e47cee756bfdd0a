import { request } from 'node:http';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export interface HttpRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** For the whole exchange. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** The largest answer that is read: a page of logs is far smaller, a value may have 8 MiB. */
const largestBody = 64 * 1024 * 1024;

/**
 * One request on a connection of its own, so that nothing is held open to an instance that is about to stop.
 * Rejects with the system's error when there is no answer.
 */
export const http = async (url: string | URL, options: HttpRequest = {}): Promise<HttpAnswer> => {
  const { method = 'GET', headers = {}, body, timeoutMs = 2000 } = options;
  const timeout = AbortSignal.timeout(timeoutMs);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      { method, headers: { ...headers, connection: 'close' }, agent: false, signal },
      (incoming) => {
        const chunks: Buffer[] = [];
        let size = 0;
        incoming.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > largestBody) outgoing.destroy(new Error(`the answer has more than ${largestBody} bytes`));
          else chunks.push(chunk);
        });
        incoming.on('end', () =>
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(chunks) }),
        );
        incoming.on('error', reject);
      },
    );
    outgoing.on('error', (error) => reject(timeout.aborted ? new Error(`no answer within ${timeoutMs} ms`) : error));
    outgoing.end(body);
  });
};
