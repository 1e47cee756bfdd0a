// Stands in for a native service in the orchestrator's own tests: settings, first log line, admin port, identity and
// drain as every service has them, and of the service proper as much as a start needs. Faults are asked for by
// FAKE_… settings: FAKE_EXIT (code, before listening), FAKE_NEVER_READY, FAKE_IGNORE_SIGTERM, FAKE_CONTRACT (file with
// a JSON identity). The key `teapot` is refused.
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js';
import {
  ControlServiceService,
  DescribeResponse,
  ProcessState,
} from '../../../contract/ts/gen/bimetal/control/v1/control_service.ts';
import { DIGEST, REVISION, readDescriptorSet } from '../../../contract/ts/gen/identity.ts';

const env = (name: string): string | undefined => process.env[`BIMETAL_${name}`];
const instance = env('INSTANCE') ?? 'fake-0';
const service = instance.split('-')[0] ?? 'fake';

const log = (fields: Record<string, unknown>): void => {
  const record = { time: new Date().toISOString(), level: 'info', service, instance, ...fields };
  process.stdout.write(`${JSON.stringify(record)}\n`);
};

const identity = (): string =>
  env('FAKE_CONTRACT')
    ? readFileSync(env('FAKE_CONTRACT') ?? '', 'utf8')
    : JSON.stringify({
        service,
        language: 'typescript',
        version: '0.0.0',
        revision: REVISION,
        digest: DIGEST,
        descriptorSet: readDescriptorSet().toString('base64'),
      });

const admin = (request: IncomingMessage, response: ServerResponse): void => {
  if (request.url === '/contract') return void response.end(identity());
  if (request.url === '/metrics') return void response.end('fake_up 1\n');
  response.statusCode = request.url === '/readyz' && env('FAKE_NEVER_READY') ? 503 : 200;
  response.end();
};

const entries = new Map<string, Buffer>();

const cache = (request: IncomingMessage, response: ServerResponse): void => {
  const key = request.url ?? '';
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    log({ level: 'debug', msg: 'request', method: request.method, path: key });
    if (key.endsWith('/teapot')) {
      response.statusCode = 418;
      return response.end(JSON.stringify({ reason: 'TEAPOT', detail: 'it is one' }));
    }
    if (request.method === 'PUT') {
      response.statusCode = entries.has(key) ? 204 : 201;
      entries.set(key, Buffer.concat(chunks));
      return response.end();
    }
    if (request.method === 'DELETE') {
      entries.delete(key);
      response.statusCode = 204;
      return response.end();
    }
    const value = entries.get(key);
    response.statusCode = value ? 200 : 404;
    response.end(value);
  });
};

const bindHttp = (
  setting: string,
  handler: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Server> => {
  const [host, port] = (env(setting) ?? '127.0.0.1:0').split(':');
  return new Promise((resolve) => {
    const server = createServer(handler);
    server.on('error', (error) => {
      process.stderr.write(`cannot listen on ${env(setting)}: ${error.message}\n`);
      process.exit(3);
    });
    server.listen(Number(port), host, () => resolve(server));
  });
};

/** A node that is to take over from another has nothing to catch up with, and takes over when it is told. */
let state: ProcessState = env('HAND_OVER_FROM') ? ProcessState.CAUGHT_UP : ProcessState.SERVING;

const bindGrpc = (setting: string): Promise<number> => {
  const server = new GrpcServer();
  server.addService(ControlServiceService, {
    describe: (_call: object, answer: (error: null, value: object) => void) =>
      answer(null, DescribeResponse.fromPartial({ service, instance, state })),
    drain: (_call: object, answer: (error: null, value: object) => void) => {
      answer(null, {});
      setTimeout(() => process.exit(0), 10);
    },
    setTopology: (
      call: { request: { topology?: { epoch: bigint } } },
      answer: (error: null, value: object) => void,
    ) => {
      const epoch = call.request.topology?.epoch ?? 0n;
      log({ msg: 'topology', epoch: String(epoch) });
      state = ProcessState.SERVING;
      answer(null, { epoch, erasedEntries: 0n });
    },
  });
  return new Promise((resolve, reject) => {
    server.bindAsync(env(setting) ?? '127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    );
  });
};

const addressOf = (server: Server): string => `127.0.0.1:${(server.address() as AddressInfo).port}`;

if (env('FAKE_EXIT')) {
  process.stderr.write('this is why I cannot start\n');
  process.exit(Number(env('FAKE_EXIT')));
}
const end = (): never => process.exit(0);
process.on('SIGTERM', () => (env('FAKE_IGNORE_SIGTERM') ? log({ msg: 'not yet' }) : end()));
if (env('WATCH_STDIN')) process.stdin.on('end', end).resume();

const addresses: Record<string, string> = {};
if (env('GRPC_LISTEN')) addresses['grpc'] = `127.0.0.1:${await bindGrpc('GRPC_LISTEN')}`;
if (env('LISTEN')) addresses['http'] = addressOf(await bindHttp('LISTEN', cache));
if (env('ADMIN_LISTEN')) addresses['admin'] = addressOf(await bindHttp('ADMIN_LISTEN', admin));
log({ msg: 'listening', addresses, contract_revision: REVISION, contract_digest: DIGEST, pid: process.pid });
