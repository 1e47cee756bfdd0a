// Every RPC of every service of the contract, at every process that speaks gRPC, for every wrong caller. The RPCs are
// taken from the descriptor: a new one is refused to strangers, or stands in the list of those that are for everybody.
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { describe, expect, test } from '@jest/globals';
import { DrainRequest } from '../../contract/ts/gen/bimetal/control/v1/control_service.ts';
import { SetRoutesRequest } from '../../contract/ts/gen/bimetal/control/v1/edge_service.ts';
import { readDescriptorSet } from '../../contract/ts/index.ts';
import { useStage } from '../support/platform.ts';
import { frame, rawCall } from '../support/raw-grpc.ts';

const stage = useStage();

/** "Who may" of the contract: entries are for everybody who reaches a node, as are questions that change nothing. */
const forEverybody = [
  /^bimetal\.cache\.v1\.CacheService\//,
  /^bimetal\.cache\.v1\.NamespaceService\/(GetNamespace|ListNamespaces)$/,
  /^bimetal\.control\.v1\.ControlService\/Describe$/,
];

const rpcs = [...createFileRegistry(fromBinary(FileDescriptorSetSchema, readDescriptorSet()))].flatMap((type) =>
  type.kind === 'service' && type.typeName.startsWith('bimetal.')
    ? type.methods.map((method) => `${type.typeName}/${method.name}`)
    : [],
);

/** Who answers which services; what it does not serve is UNIMPLEMENTED for everybody. */
const servers = [
  { instance: 'cache-0', port: 'grpc', serves: /^bimetal\.(cache\.v1\.|control\.v1\.ControlService)/ },
  { instance: 'gateway-0', port: 'admin', serves: /^bimetal\.control\.v1\.ControlService/ },
  { instance: 'edge-0', port: 'admin', serves: /^bimetal\.control\.v1\./ },
] as const;

const code = { ok: 0, permissionDenied: 7, unimplemented: 12, unauthenticated: 16 } as const;

/** Requests that are refused for their content, so that a right caller does no harm either. */
const harmless: Readonly<Record<string, Buffer>> = {
  'bimetal.control.v1.ControlService/Drain': frame(
    DrainRequest.encode(DrainRequest.fromPartial({ delay: { seconds: -1n, nanos: 0 } })).finish(),
  ),
  'bimetal.control.v1.EdgeService/SetRoutes': frame(
    SetRoutesRequest.encode(
      SetRoutesRequest.fromPartial({ routes: [{ name: 'NO NAME', listen: '', targets: [] }] }),
    ).finish(),
  ),
};

type Wrong = { readonly name: string; readonly authorization: string | string[] };

const wrongTokens = (right: string): Wrong[] => [
  { name: 'another token', authorization: 'Bearer wrong' },
  { name: 'an empty token', authorization: 'Bearer ' },
  { name: 'no scheme', authorization: right },
  { name: 'another scheme', authorization: `Basic ${Buffer.from(`:${right}`).toString('base64')}` },
  { name: 'the token without its end', authorization: `Bearer ${right.slice(0, -1)}` },
  { name: 'the token and more', authorization: `Bearer ${right}x` },
  { name: 'the token of the control API', authorization: `Bearer ${stage().platform.controlToken}` },
  { name: 'the right token and another', authorization: [`Bearer ${right}`, 'Bearer wrong'] },
  { name: 'another token and the right one', authorization: ['Bearer wrong', `Bearer ${right}`] },
  { name: 'the right token twice', authorization: [`Bearer ${right}`, `Bearer ${right}`] },
];

test('the contract has RPCs for everybody and others', () => {
  const open = rpcs.filter((rpc) => forEverybody.some((pattern) => pattern.test(rpc)));
  expect(open.length).toBeGreaterThan(10);
  expect(rpcs.length).toBeGreaterThan(open.length + 8);
});

describe.each(servers)('$instance', ({ instance, port, serves }) => {
  const call = (rpc: string, authorization?: string | string[], query = ''): Promise<number> =>
    rawCall({
      address: stage().platform.instance(instance).address(port),
      path: `/${rpc}${query}`,
      ...(authorization !== undefined && { headers: { authorization } }),
      ...(harmless[rpc] !== undefined && { body: harmless[rpc] }),
    });

  test('serves only what it is meant to', async () => {
    for (const rpc of rpcs.filter((rpc) => !serves.test(rpc))) {
      expect([rpc, await call(rpc)]).toEqual([rpc, code.unimplemented]);
      expect([rpc, await call(rpc, `Bearer ${stage().platform.runToken}`)]).toEqual([rpc, code.unimplemented]);
    }
  });

  const served = rpcs.filter((rpc) => serves.test(rpc));
  const [open, guarded] = [true, false].map((wanted) =>
    served.filter((rpc) => forEverybody.some((pattern) => pattern.test(rpc)) === wanted),
  );

  test.each(open ?? [])('%s is for everybody', async (rpc) => {
    const right = stage().platform.runToken;
    const callers: (string | string[] | undefined)[] = [undefined, `Bearer ${right}`];
    for (const { authorization } of wrongTokens(right)) callers.push(authorization);
    for (const authorization of callers) {
      const status = await call(rpc, authorization);
      expect([code.unauthenticated, code.permissionDenied]).not.toContain(status);
    }
  });

  test.each(guarded ?? [])('%s needs the run token, once, in its place', async (rpc) => {
    const right = stage().platform.runToken;
    expect(await call(rpc)).toBe(code.unauthenticated);
    const answers = await Promise.all(
      wrongTokens(right).map(async ({ name, authorization }) => [name, await call(rpc, authorization)]),
    );
    expect(answers).toEqual(wrongTokens(right).map(({ name }) => [name, code.permissionDenied]));
    for (const query of [`?token=${right}`, `?access_token=${right}`, `?authorization=Bearer%20${right}`])
      expect([code.unauthenticated, code.unimplemented]).toContain(await call(rpc, undefined, query));
    const allowed = await call(rpc, `Bearer ${right}`);
    expect([code.unauthenticated, code.permissionDenied]).not.toContain(allowed);
  });
});

test('nothing that a wrong caller asked for was done', async () => {
  const { platform, http } = stage();
  for (const { name, state } of platform.instances) expect([name, state]).toEqual([name, 'ready']);
  expect((await http.get('/readyz')).status).toBe(200);
  expect((await http.get('/v1/namespaces/demo')).status).toBe(200);
});
