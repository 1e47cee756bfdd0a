import { credentials } from '@grpc/grpc-js';
import {
  ControlServiceClient,
  type StatsRequest,
  type StatsResponse,
} from '../../../contract/ts/gen/bimetal/control/v1/control_service.ts';
import { channelOptions, unary } from '../../../contract/ts/index.ts';
import { pageUrl, pageValue } from './page.ts';

export type ReplayTarget = {
  /** The gateway's public URL. */
  readonly gatewayUrl: string;
  /** The nodes of the platform, in the order of the topology. */
  readonly nodes: readonly { readonly name: string; readonly grpcAddress: string }[];
  /** The run token: it is needed to ask the nodes what an entry takes. */
  readonly token: string;
};

export type Room = {
  readonly namespace: string;
  /** The quota of the namespace on each node, in bytes. */
  readonly quotaBytes: number;
  /** What one entry of the replay takes of the memory, on average, in bytes. */
  readonly entryBytes: number;
};

const samplePages = 2_000;
const sampleOffset = 1_000_000_000;

const namespaceRequest = async (
  gatewayUrl: string,
  namespace: string,
  method: string,
  body?: object,
): Promise<Response> =>
  fetch(`${gatewayUrl}/v1/namespaces/${namespace}`, {
    method,
    ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });

const expectOk = async (response: Response, doing: string): Promise<void> => {
  if (!response.ok) throw new Error(`${doing}: ${response.status} ${await response.text()}`);
  await response.body?.cancel();
};

const statsOf = async (target: ReplayTarget, namespace: string): Promise<{ entries: number; bytes: number }> => {
  const all = await Promise.all(
    target.nodes.map(async ({ grpcAddress }) => {
      const client = new ControlServiceClient(grpcAddress, credentials.createInsecure(), channelOptions);
      try {
        return await unary<StatsRequest, StatsResponse>(client.stats.bind(client), {}, { token: target.token });
      } finally {
        client.close();
      }
    }),
  );
  const mine = all.flatMap(({ namespaces }) => namespaces).filter(({ name }) => name === namespace);
  return {
    entries: mine.reduce((sum, { entries }) => sum + Number(entries), 0),
    bytes: mine.reduce((sum, { bytes }) => sum + Number(bytes), 0),
  };
};

/**
 * Makes an empty namespace that has room for `entries` entries of `valueBytes`, shared by all nodes. What an entry takes
 * is measured with a sample, so that the comparison with an LRU is one of the same bytes.
 */
export const makeRoom = async (target: ReplayTarget, entries: number, valueBytes: number): Promise<Room> => {
  const namespace = `replay-${Date.now().toString(36)}`;
  await expectOk(await namespaceRequest(target.gatewayUrl, namespace, 'PUT', {}), `making the namespace ${namespace}`);
  for (let at = 0; at < samplePages; at += 50) {
    await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        const page = sampleOffset + at + i;
        const url = pageUrl(target.gatewayUrl, namespace, page);
        const headers = { 'content-type': 'application/json' };
        await expectOk(
          await fetch(url, { method: 'PUT', headers, body: pageValue(page, valueBytes) }),
          'writing a sample',
        );
      }),
    );
  }
  const sample = await statsOf(target, namespace);
  if (sample.entries === 0) throw new Error(`the nodes count no entries in ${namespace} after writing ${samplePages}`);
  const entryBytes = sample.bytes / sample.entries;
  const flush = await fetch(`${target.gatewayUrl}/v1/namespaces/${namespace}/flush`, { method: 'POST' });
  await expectOk(flush, `flushing the namespace ${namespace}`);
  const quotaBytes = Math.round((entries / target.nodes.length) * entryBytes);
  const quota = { quotaBytes: String(quotaBytes) };
  await expectOk(
    await namespaceRequest(target.gatewayUrl, namespace, 'PATCH', quota),
    `setting the quota of ${namespace}`,
  );
  return { namespace, quotaBytes, entryBytes };
};

export const removeRoom = async (target: ReplayTarget, { namespace }: Room): Promise<void> => {
  await expectOk(await namespaceRequest(target.gatewayUrl, namespace, 'DELETE'), `removing the namespace ${namespace}`);
};
