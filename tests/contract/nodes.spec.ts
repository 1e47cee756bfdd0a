// What a node answers on gRPC beyond the operations: who it is, health, reflection, who may.
import { credentials } from '@grpc/grpc-js';
import { expect, test } from '@jest/globals';
import { CacheServiceClient } from '../../contract/ts/gen/bimetal/cache/v1/cache_service.ts';
import {
  type FlushNamespaceRequest,
  type FlushNamespaceResponse,
  NamespaceServiceClient,
} from '../../contract/ts/gen/bimetal/cache/v1/namespace_service.ts';
import { PutRequest } from '../../contract/ts/gen/bimetal/cache/v1/operations.ts';
import {
  ControlServiceClient,
  DescribeRequest,
  type DescribeResponse,
  type SetTopologyRequest,
  type SetTopologyResponse,
  type StatsRequest,
  type StatsResponse,
} from '../../contract/ts/gen/bimetal/control/v1/control_service.ts';
import { CacheClient, channelOptions, DIGEST, REVISION, type UnaryOptions, unary } from '../../contract/ts/index.ts';
import { ReflectionClient } from '../../orchestrator/src/reflection/reflection-client.ts';
import { driver, freshKey, useStage } from '../support/platform.ts';

const stage = useStage();

const control = (instance: string, port: string): ControlServiceClient =>
  new ControlServiceClient(
    stage().platform.instance(instance).address(port),
    credentials.createInsecure(),
    channelOptions,
  );

test.each([
  ['cache-0', 'grpc', 'rust'],
  ['cache-1', 'grpc', 'rust'],
  ['gateway-0', 'admin', 'go'],
])('%s describes itself by its contract', async (instance, port, language) => {
  const client = control(instance, port);
  const request = DescribeRequest.fromPartial({ includeDescriptorSet: true });
  const described = await unary<DescribeRequest, DescribeResponse>(client.describe.bind(client), request);
  client.close();
  expect(described).toMatchObject({ instance, language, contract: { revision: REVISION } });
  expect(described.contract?.digest.toString('hex')).toBe(DIGEST);
  expect(described.contract?.descriptorSet.length).toBeGreaterThan(10_000);
  expect(described.topology?.nodes.map(({ name }) => name)).toEqual(['cache-0', 'cache-1']);
});

test.each(['cache-0', 'gateway-0', 'example-0'])('%s tells its contract on HTTP, too', async (instance) => {
  const answer = await fetch(`${stage().platform.instance(instance).probeUrl}/contract`);
  expect(await answer.json()).toMatchObject({ revision: REVISION, digest: DIGEST, descriptorSet: expect.any(String) });
});

test('a node lists its services by reflection', async () => {
  using client = await ReflectionClient.connect(stage().platform.instance('cache-0').address('grpc'));
  const services = await client.listServices();
  expect(services).toEqual(
    expect.arrayContaining([
      'bimetal.cache.v1.CacheService',
      'bimetal.cache.v1.NamespaceService',
      'bimetal.control.v1.ControlService',
      'grpc.health.v1.Health',
    ]),
  );
});

const stats = async (options: UnaryOptions): Promise<StatsResponse> => {
  const client = control('cache-0', 'grpc');
  try {
    return await unary<StatsRequest, StatsResponse>(client.stats.bind(client), {}, options);
  } finally {
    client.close();
  }
};

test('what changes or inspects a node needs the run token', async () => {
  const { platform } = stage();
  await expect(stats({})).rejects.toMatchObject({ reason: 'UNAUTHENTICATED' });
  await expect(stats({ token: 'wrong' })).rejects.toMatchObject({ reason: 'PERMISSION_DENIED' });
  expect((await stats({ token: platform.runToken })).namespaces.map(({ name }) => name)).toContain('demo');

  const topology = { epoch: 99n, nodes: [{ name: 'cache-0', tag: 1, address: '127.0.0.1:1' }] };
  const client = control('cache-0', 'grpc');
  await expect(
    unary<SetTopologyRequest, SetTopologyResponse>(client.setTopology.bind(client), { topology }),
  ).rejects.toMatchObject({ reason: 'UNAUTHENTICATED' });
  client.close();

  const namespaces = new NamespaceServiceClient(
    platform.instance('cache-0').address('grpc'),
    credentials.createInsecure(),
  );
  const flush = unary<FlushNamespaceRequest, FlushNamespaceResponse>(namespaces.flushNamespace.bind(namespaces), {
    name: 'demo',
  });
  await expect(flush).rejects.toMatchObject({ reason: 'UNAUTHENTICATED' });
  namespaces.close();
});

test('the run token stands in no log', async () => {
  const { platform } = stage();
  const records = platform.instances.flatMap((instance) => instance.logs());
  expect(records.length).toBeGreaterThan(0);
  expect(JSON.stringify(records)).not.toContain(platform.runToken);
});

test('a key that another node owns is WRONG_NODE, names the owner, and nothing is done', async () => {
  const { cache, platform } = stage();
  const key = freshKey();
  const owner = cache.nodeOf('demo', key);
  const wrong = platform.clientTopology.nodes.find(({ name }) => name !== owner);
  const direct = new CacheServiceClient(wrong?.address ?? '', credentials.createInsecure(), channelOptions);
  const request = PutRequest.fromPartial({ namespace: 'demo', key: Buffer.from(key), value: Buffer.from('x') });
  const put = unary(direct.put.bind(direct), request);
  await expect(put).rejects.toMatchObject({ reason: 'WRONG_NODE', details: { owner: { name: owner } } });
  direct.close();
  expect((await cache.get({ namespace: 'demo', key: Buffer.from(key) })).miss).toBeDefined();
});

const findsTheOwner = async (): Promise<void> => {
  const { cache, platform } = stage();
  const key = freshKey();
  const outdated = platform.clientTopology.nodes.filter(({ name }) => name !== cache.nodeOf('demo', key));
  using client = new CacheClient({ nodes: outdated });
  await client.put({ namespace: 'demo', key: Buffer.from(key), value: Buffer.from('x') });
  expect((await cache.get({ namespace: 'demo', key: Buffer.from(key) })).entry?.value.toString()).toBe('x');
};

// The topology of containers has addresses that only containers can reach.
if (driver === 'process') {
  test('a client with an outdated topology finds the owner of a key by asking the node that it knows', findsTheOwner);
}
