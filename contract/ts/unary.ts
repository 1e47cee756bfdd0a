// One call of a unary method, with the settings that every channel to a process of the platform has.
import { type CallOptions, type ChannelOptions, Metadata, type ServiceError } from '@grpc/grpc-js';
import { fromServiceError } from './errors.ts';

/** The largest message in bytes that either side sends or takes. */
export const MAX_MESSAGE_BYTES = 17 * 1024 * 1024;

/** Settings of every channel to a node: message limits, and fast reconnects in place of gRPC's long back-off. */
export const channelOptions: ChannelOptions = {
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 200,
  'grpc.service_config_disable_resolution': 1,
  'grpc.enable_retries': 0,
};

/** A unary method of a generated client. */
export type UnaryMethod<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, response: Response) => void,
) => { cancel(): void };

export type UnaryOptions = {
  /** How long the call may take, in milliseconds. */
  readonly timeoutMs?: number;
  /** The run token, for what needs it. */
  readonly token?: string;
  readonly signal?: AbortSignal;
};

/** Calls a unary method; failures are errors of the contract's table. */
export const unary = <Request, Response>(
  method: UnaryMethod<Request, Response>,
  request: Request,
  { timeoutMs = 5_000, token, signal }: UnaryOptions = {},
): Promise<Response> =>
  new Promise((resolve, reject) => {
    const metadata = new Metadata();
    if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
    const call = method(request, metadata, { deadline: Date.now() + timeoutMs }, (error, response) => {
      signal?.removeEventListener('abort', cancel);
      // grpc-js says in the text whether a connection was ever there; otherwise the request may have been written.
      if (error) reject(fromServiceError(error, !error.details.startsWith('No connection established')));
      else resolve(response);
    });
    const cancel = (): void => call.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
  });
