import { credentials } from '@grpc/grpc-js';
import { channelOptions, unary } from '../../../contract/ts/client.ts';
import {
  ControlServiceClient,
  SetTopologyRequest,
} from '../../../contract/ts/gen/bimetal/control/v1/control_service.ts';
import type { Topology } from '../model/types.ts';

/** Tells one process, a node or a gateway, the topology. Needs the run token. */
export const setTopology = async (address: string, topology: Topology, token: string): Promise<void> => {
  const client = new ControlServiceClient(address, credentials.createInsecure(), channelOptions);
  try {
    const request = SetTopologyRequest.fromPartial({
      topology: { epoch: BigInt(topology.epoch), nodes: topology.nodes.map((node) => ({ ...node })) },
    });
    await unary(client.setTopology.bind(client), request, { token });
  } finally {
    client.close();
  }
};
