// Where the nodes are, for a client that nobody tells: what it was given, and what nodes say of a newer topology.
import { credentials } from '@grpc/grpc-js';
import { CacheServiceClient } from './gen/bimetal/cache/v1/cache_service.ts';
import { ControlServiceClient, DescribeRequest, type Topology } from './gen/bimetal/control/v1/control_service.ts';
import { channelOptions, unary } from './unary.ts';

export type Node = { readonly name: string; readonly address: string; readonly client: CacheServiceClient };

type Known = Pick<Topology, 'nodes'> & { readonly epoch?: bigint };

const open = ({ nodes }: Known, former: readonly Node[]): Node[] =>
  nodes.map(({ name, address }) => {
    const kept = former.find((node) => node.name === name && node.address === address);
    return (
      kept ?? { name, address, client: new CacheServiceClient(address, credentials.createInsecure(), channelOptions) }
    );
  });

/** How long a connection that is not used any more is kept for the answers that are owed on it. */
const farewellMs = 15_000;

export class Nodes implements Disposable {
  readonly #given: Known;
  #current: readonly Node[];
  #epoch: bigint;

  constructor(given: Known) {
    this.#given = given;
    this.#epoch = given.epoch ?? 0n;
    this.#current = open(given, []);
  }

  get current(): readonly Node[] {
    return this.#current;
  }

  /** A node said that the key belongs elsewhere: it is asked for its topology, which counts if it is newer. */
  async refresh({ address }: Node): Promise<void> {
    const control = new ControlServiceClient(address, credentials.createInsecure(), channelOptions);
    try {
      const request = DescribeRequest.fromPartial({});
      const { topology } = await unary(control.describe.bind(control), request, { timeoutMs: 1_000 });
      if (topology && topology.epoch > this.#epoch) this.#replace(topology);
    } finally {
      control.close();
    }
  }

  /** A node does not answer where it was said to be. What was given at first may be addresses that hold for good. */
  fallBack({ address }: Node): boolean {
    if (this.#given.nodes.some((node) => node.address === address)) return false;
    this.#replace({ ...this.#given, epoch: 0n });
    return true;
  }

  #replace(topology: Known): void {
    const former = this.#current;
    this.#epoch = topology.epoch ?? 0n;
    this.#current = open(topology, former);
    const gone = former.filter((node) => !this.#current.includes(node));
    setTimeout(() => close(gone), farewellMs).unref();
  }

  [Symbol.dispose](): void {
    close(this.#current);
  }
}

const close = (nodes: readonly Node[]): void => {
  for (const { client } of nodes) client.close();
};
