import { credentials } from '@grpc/grpc-js';
import {
  ControlServiceClient,
  DescribeRequest,
  type DescribeResponse,
  DrainRequest,
  SetTopologyRequest,
  type SetTopologyResponse,
} from '../../../contract/ts/gen/bimetal/control/v1/control_service.ts';
import { EdgeServiceClient, SetRoutesRequest } from '../../../contract/ts/gen/bimetal/control/v1/edge_service.ts';
import { channelOptions, unary } from '../../../contract/ts/unary.ts';
import type { Route, Topology } from '../model/types.ts';

interface CallOptions {
  readonly token: string;
  readonly timeoutMs?: number;
}

const withControl = async <Result>(
  address: string,
  use: (client: ControlServiceClient) => Promise<Result>,
): Promise<Result> => {
  const client = new ControlServiceClient(address, credentials.createInsecure(), channelOptions);
  try {
    return await use(client);
  } finally {
    client.close();
  }
};

const tell = (client: ControlServiceClient, topology: Topology, options: CallOptions): Promise<SetTopologyResponse> => {
  const request = SetTopologyRequest.fromPartial({
    topology: { epoch: BigInt(topology.epoch), nodes: topology.nodes.map((node) => ({ ...node })) },
  });
  return unary(client.setTopology.bind(client), request, options);
};

/** Tells one process, a node or a gateway, the topology. A node that is catching up takes over by this. */
export const setTopology = (address: string, topology: Topology, options: CallOptions): Promise<SetTopologyResponse> =>
  withControl(address, (client) => tell(client, topology, options));

/** A process that is going to be told a topology, and is connected to: what follows is to be quick. */
export interface Listener {
  readonly tell: (topology: Topology) => Promise<SetTopologyResponse>;
  readonly close: () => void;
}

export const connectTo = async (address: string, options: CallOptions): Promise<Listener> => {
  const client = new ControlServiceClient(address, credentials.createInsecure(), channelOptions);
  // One that cannot be reached says so when it is told.
  await new Promise<void>((resolve) => client.waitForReady(Date.now() + 1000, () => resolve()));
  return { tell: (topology) => tell(client, topology, options), close: () => client.close() };
};

/** What a process says of itself: anybody may ask. */
export const describe = (address: string, timeoutMs?: number): Promise<DescribeResponse> =>
  withControl(address, (client) =>
    unary(client.describe.bind(client), DescribeRequest.fromPartial({}), {
      ...(timeoutMs !== undefined && { timeoutMs }),
    }),
  );

/** Begins to drain; `delaySeconds` is how long everything is still served while readiness fails. */
export const drain = async (address: string, delaySeconds: number, options: CallOptions): Promise<void> => {
  await withControl(address, (client) => {
    const request = DrainRequest.fromPartial({
      delay: { seconds: BigInt(Math.floor(delaySeconds)), nanos: Math.round((delaySeconds % 1) * 1e9) },
    });
    return unary(client.drain.bind(client), request, options);
  });
};

/** Replaces the routes of the edge; answers what each listens on. */
export const setRoutes = async (
  address: string,
  routes: readonly Route[],
  options: CallOptions,
): Promise<ReadonlyMap<string, string>> => {
  const client = new EdgeServiceClient(address, credentials.createInsecure(), channelOptions);
  try {
    const request = SetRoutesRequest.fromPartial({
      routes: routes.map(({ name, listen, targets }) => ({ name, listen, targets: [...targets] })),
    });
    const answer = await unary(client.setRoutes.bind(client), request, options);
    return new Map(answer.routes.map(({ name, listen }) => [name, listen]));
  } finally {
    client.close();
  }
};
