// gRPC as it stands on the wire, for what a proper client would not send: any path, any header field, twice if need be.
import { connect, type IncomingHttpHeaders } from 'node:http2';

const limitMs = 5_000;

/** A message of no bytes, framed. */
const emptyMessage = Buffer.alloc(5);

/** A message, framed: not compressed, its length, its bytes. */
export const frame = (message: Uint8Array): Buffer => {
  const framed = Buffer.alloc(5 + message.length);
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, 5);
  return framed;
};

export type RawCall = {
  /** HOST:PORT */
  readonly address: string;
  /** `/package.Service/Method` */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  /** Framed; default: one empty message. */
  readonly body?: Buffer;
};

/**
 * Sends one message, ends the stream, and resolves with the status code of gRPC. A stream that answers with a message
 * has let its caller in, which is code 0 here.
 */
export const rawCall = async ({ address, path, headers = {}, body = emptyMessage }: RawCall): Promise<number> => {
  // Node's own rule that `authorization` comes once is for polite clients.
  const session = connect(`http://${address}`, { strictSingleValueFields: false } as object);
  try {
    return await new Promise<number>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${path}: no answer within ${limitMs} ms`)), limitMs);
      const end = (settle: () => void): void => {
        clearTimeout(timer);
        settle();
      };
      session.on('error', (error) => end(() => reject(error)));
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...headers,
      });
      const look = (fields: IncomingHttpHeaders): void => {
        const status = fields['grpc-status'];
        if (status !== undefined) end(() => resolve(Number(status)));
        else if (fields[':status'] !== undefined && fields[':status'] !== (200 as unknown))
          end(() => reject(new Error(`${path}: HTTP ${String(fields[':status'])}`)));
      };
      stream.on('response', look);
      stream.on('trailers', look);
      stream.on('data', () => end(() => resolve(0)));
      stream.on('error', (error) => end(() => reject(error)));
      stream.end(body);
    });
  } finally {
    session.destroy();
  }
};
