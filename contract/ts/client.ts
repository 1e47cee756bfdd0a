// A small typed client of the cache: it sends each key to the node that owns it, wherever that is by now.
import { setTimeout as sleep } from 'node:timers/promises';
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
import { NodeUnavailableError, WrongNodeError } from './gen/error-classes.ts';
import { type Node, Nodes } from './nodes.ts';
import { ownerOf } from './ownership.ts';
import { type UnaryMethod, type UnaryOptions, unary } from './unary.ts';

type Keyed = { readonly namespace: string; readonly key: Uint8Array };

/** How long a key is looked for while nodes come, go and move; then the last refusal is the answer. */
const searchMs = 1_000;

/** Reads and writes entries at the nodes of a topology. Dispose of it to close its connections. */
export class CacheClient implements Disposable {
  readonly #nodes: Nodes;
  readonly #defaults: UnaryOptions;

  constructor(topology: Pick<Topology, 'nodes'> & { readonly epoch?: bigint }, defaults: UnaryOptions = {}) {
    this.#defaults = defaults;
    this.#nodes = new Nodes(topology);
  }

  get(request: Partial<GetRequest> & Keyed, options?: UnaryOptions): Promise<GetResponse> {
    return this.#call(request, ({ client }) => client.get.bind(client), GetRequest.fromPartial(request), options);
  }

  put(request: Partial<PutRequest> & Keyed, options?: UnaryOptions): Promise<PutResponse> {
    return this.#call(request, ({ client }) => client.put.bind(client), PutRequest.fromPartial(request), options);
  }

  delete(request: Partial<DeleteRequest> & Keyed, options?: UnaryOptions): Promise<DeleteResponse> {
    return this.#call(request, ({ client }) => client.delete.bind(client), DeleteRequest.fromPartial(request), options);
  }

  touch(request: Partial<TouchRequest> & Keyed, options?: UnaryOptions): Promise<TouchResponse> {
    return this.#call(request, ({ client }) => client.touch.bind(client), TouchRequest.fromPartial(request), options);
  }

  increment(request: Partial<IncrementRequest> & Keyed, options?: UnaryOptions): Promise<IncrementResponse> {
    const message = IncrementRequest.fromPartial(request);
    return this.#call(request, ({ client }) => client.increment.bind(client), message, options);
  }

  /** The name of the node that owns a key. */
  nodeOf(namespace: string, key: string | Uint8Array): string | undefined {
    return ownerOf(this.#nodes.current, namespace, key)?.name;
  }

  [Symbol.dispose](): void {
    this.#nodes[Symbol.dispose]();
  }

  /** Repeats only what was refused before it was begun because the key is elsewhere. */
  async #call<Request, Response>(
    key: Keyed,
    methodOf: (node: Node) => UnaryMethod<Request, Response>,
    request: Request,
    options?: UnaryOptions,
  ): Promise<Response> {
    const until = Date.now() + searchMs;
    for (;;) {
      const owner = this.#ownerOf(key);
      try {
        return await unary(methodOf(owner), request, { ...this.#defaults, ...options });
      } catch (error) {
        if (!(await this.#follow(error, owner)) || Date.now() > until) throw error;
      }
    }
  }

  /** Whether it makes sense to ask again. */
  async #follow(error: unknown, owner: Node): Promise<boolean> {
    if (error instanceof NodeUnavailableError) return this.#nodes.fallBack(owner);
    if (!(error instanceof WrongNodeError)) return false;
    await this.#nodes.refresh(owner).catch(() => this.#nodes.fallBack(owner));
    // While an epoch is on its way the former owner refuses a key before the next one serves it.
    if (this.#nodes.current.includes(owner)) await sleep(10);
    return true;
  }

  #ownerOf({ namespace, key }: Keyed): Node {
    const owner = ownerOf(this.#nodes.current, namespace, key);
    if (owner === undefined) throw new NodeUnavailableError('the topology has no nodes');
    return owner;
  }
}
