// A small typed client of the cache: it sends each key to the node that owns it.
import { type CallOptions, type ChannelOptions, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { fromServiceError } from './errors.ts';
import { CacheServiceClient } from './gen/bimetal/cache/v1/cache_service.ts';
import {
  DeleteRequest,
  type DeleteResponse,
  GetRequest,
  type GetResponse,
  IncrementRequest,
  type IncrementResponse,
  PutRequest,
  type PutResponse,
  TouchRequest,
  type TouchResponse,
} from './gen/bimetal/cache/v1/operations.ts';
import type { Topology } from './gen/bimetal/control/v1/control_service.ts';
import { NodeUnavailableError } from './gen/error-classes.ts';
import { ownerOf } from './ownership.ts';

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

type Keyed = { readonly namespace: string; readonly key: Uint8Array };

/** Reads and writes entries at the nodes of a topology. Dispose of it to close its connections. */
export class CacheClient implements Disposable {
  readonly #nodes: ReadonlyArray<{ readonly name: string; readonly client: CacheServiceClient }>;
  readonly #defaults: UnaryOptions;

  constructor(topology: Pick<Topology, 'nodes'>, defaults: UnaryOptions = {}) {
    this.#defaults = defaults;
    this.#nodes = topology.nodes.map(({ name, address }) => ({
      name,
      client: new CacheServiceClient(address, credentials.createInsecure(), channelOptions),
    }));
  }

  get(request: Partial<GetRequest> & Keyed, options?: UnaryOptions): Promise<GetResponse> {
    const client = this.#ownerOf(request);
    return this.#call(client.get.bind(client), GetRequest.fromPartial(request), options);
  }

  put(request: Partial<PutRequest> & Keyed, options?: UnaryOptions): Promise<PutResponse> {
    const client = this.#ownerOf(request);
    return this.#call(client.put.bind(client), PutRequest.fromPartial(request), options);
  }

  delete(request: Partial<DeleteRequest> & Keyed, options?: UnaryOptions): Promise<DeleteResponse> {
    const client = this.#ownerOf(request);
    return this.#call(client.delete.bind(client), DeleteRequest.fromPartial(request), options);
  }

  touch(request: Partial<TouchRequest> & Keyed, options?: UnaryOptions): Promise<TouchResponse> {
    const client = this.#ownerOf(request);
    return this.#call(client.touch.bind(client), TouchRequest.fromPartial(request), options);
  }

  increment(request: Partial<IncrementRequest> & Keyed, options?: UnaryOptions): Promise<IncrementResponse> {
    const client = this.#ownerOf(request);
    return this.#call(client.increment.bind(client), IncrementRequest.fromPartial(request), options);
  }

  /** The name of the node that owns a key. */
  nodeOf(namespace: string, key: string | Uint8Array): string | undefined {
    return ownerOf(this.#nodes, namespace, key)?.name;
  }

  [Symbol.dispose](): void {
    for (const { client } of this.#nodes) client.close();
  }

  #call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    options?: UnaryOptions,
  ): Promise<Response> {
    return unary(method, request, { ...this.#defaults, ...options });
  }

  #ownerOf({ namespace, key }: Keyed): CacheServiceClient {
    const owner = ownerOf(this.#nodes, namespace, key);
    if (owner === undefined) throw new NodeUnavailableError('the topology has no nodes');
    return owner.client;
  }
}
