import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ownerOf } from '../../../contract/ts/ownership.ts';
import { messageOf, OrchestratorError } from '../errors.ts';
import type { Topology } from '../model/types.ts';
import { http } from '../process/http.ts';

/** A gateway that is ready may need a moment for its first connections. */
const limitMs = 5000;

/** Stores, reads and deletes one entry at every node through a gateway: only then is the platform ready. */
export const tryFirstRequests = async (gatewayUrl: string, topology: Topology, signal: AbortSignal): Promise<void> => {
  await Promise.all(
    topology.nodes.map(async ({ name }) => {
      const deadline = Date.now() + limitMs;
      for (;;) {
        const problem = await roundTrip(gatewayUrl, keyOwnedBy(name, topology.nodes));
        if (problem === undefined) return;
        signal.throwIfAborted();
        if (Date.now() > deadline) {
          throw new OrchestratorError(
            'UNHEALTHY',
            `The first request to ${name} through ${gatewayUrl} failed: ${problem}.`,
          );
        }
        await sleep(20);
      }
    }),
  );
};

/** A key of our own, in the namespace `default`. */
export const keyOwnedBy = (node: string, nodes: Topology['nodes']): string => {
  for (;;) {
    const key = `bimetal-first-request-${randomBytes(6).toString('hex')}`;
    if (ownerOf(nodes, 'default', key)?.name === node) return key;
  }
};

/** What went wrong, if anything. */
const roundTrip = async (gatewayUrl: string, key: string): Promise<string | undefined> => {
  const url = `${gatewayUrl}/v1/cache/default/${key}`;
  try {
    const put = await http(url, { method: 'PUT', body: key, headers: { 'content-type': 'text/plain' } });
    if (put.status !== 201 && put.status !== 204)
      return `PUT answered ${put.status}: ${put.body.toString().slice(0, 300)}`;
    const get = await http(url);
    if (get.status !== 200 || get.body.toString() !== key) return `GET answered ${get.status} with another body`;
    const deleted = await http(url, { method: 'DELETE' });
    return deleted.status === 204 ? undefined : `DELETE answered ${deleted.status}`;
  } catch (error) {
    return messageOf(error);
  }
};
