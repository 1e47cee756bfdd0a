import {
  type Client,
  credentials,
  type GrpcObject,
  Metadata,
  type MethodDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import { GrpcReflection } from 'grpc-js-reflection-client';
import { channelOptions } from '../../../contract/ts/client.ts';
import { fromServiceError } from '../../../contract/ts/errors.ts';
import { OrchestratorError } from '../errors.ts';
import { requireRun } from '../run/control-client.ts';
import type { Run } from '../run/run-file.ts';
import type { CallOptions } from './commands/call.ts';
import { printJson, printLine } from './output.ts';

/** Like grpcurl: the server itself says by reflection which messages it takes. */
export const call = async (
  method: string | undefined,
  json: string | undefined,
  options: CallOptions,
): Promise<void> => {
  const run = requireRun(options.name);
  const address = addressOf(run, options.on);
  const reflection = new GrpcReflection(address, credentials.createInsecure(), channelOptions);
  const services = await listServices(reflection, address);
  if (options.list || method === undefined) {
    await list(reflection, services, options);
    return;
  }
  const [service, name] = resolve(method, services);
  const { client, definition } = await connect(reflection, address, service, name);
  try {
    await exchange(client, definition, parseRequests(json, definition), run.runToken, options);
  } finally {
    client.close();
  }
};

/** ControlService of a gateway is on its admin port, everything of a node on its gRPC port. */
const addressOf = ({ instances }: Run, wanted: string | undefined): string => {
  const name = wanted ?? Object.keys(instances).find((instance) => instances[instance]?.addresses['grpc']);
  const addresses = name === undefined ? undefined : instances[name]?.addresses;
  const address = addresses?.['grpc'] ?? addresses?.['admin'];
  if (address !== undefined) return address;
  throw new OrchestratorError(
    'USAGE',
    `There is no instance ${name} with a gRPC port; there are ${Object.keys(instances).join(', ')}.`,
  );
};

const listServices = async (reflection: GrpcReflection, address: string): Promise<string[]> => {
  try {
    return (await reflection.listServices('*')).filter((service) => !service.startsWith('grpc.reflection.'));
  } catch (error) {
    throw new OrchestratorError('REQUEST_FAILED', `${address} does not answer by reflection.`, { cause: error });
  }
};

const list = async (reflection: GrpcReflection, services: readonly string[], { json }: CallOptions): Promise<void> => {
  const methods = await Promise.all(
    services.map(async (service) => (await reflection.listMethods(service)).map(({ name }) => `${service}/${name}`)),
  );
  if (json) printJson(methods.flat());
  else for (const method of methods.flat()) printLine(method);
};

/** `CacheService/Get` will do where only one package has a CacheService. */
const resolve = (method: string, services: readonly string[]): [service: string, method: string] => {
  const [wanted = '', name] = method.split('/');
  const found = services.filter((service) => service === wanted || service.endsWith(`.${wanted}`));
  if (name === undefined || name === '')
    throw new OrchestratorError('USAGE', `"${method}" is not Service/Method; --list shows all.`);
  const [service] = found;
  if (service !== undefined && found.length === 1) return [service, name];
  throw new OrchestratorError('USAGE', `There is no one service ${wanted}; there are ${services.join(', ')}.`);
};

type Definition = MethodDefinition<object, object>;

const isConstructor = (
  value: unknown,
): value is new (
  address: string,
  credentials: unknown,
  options: unknown,
) => Client => typeof value === 'function';

const connect = async (
  reflection: GrpcReflection,
  address: string,
  service: string,
  method: string,
): Promise<{ client: Client; definition: Definition }> => {
  const descriptor = await reflection.getDescriptorBySymbol(service);
  // Bytes as base64, 64-bit integers and enums as strings, absent fields left out.
  const packages = descriptor.getPackageObject({ longs: String, enums: String, bytes: String, defaults: false });
  const found = service
    .split('.')
    .reduce<unknown>(
      (at, part) => (typeof at === 'object' && at !== null ? (at as GrpcObject)[part] : undefined),
      packages,
    );
  if (!isConstructor(found)) throw new OrchestratorError('USAGE', `Reflection has no definition of ${service}.`);
  const definitions: Record<string, Definition> = Reflect.get(found, 'service');
  const definition = Object.values(definitions).find(({ path }) => path === `/${service}/${method}`);
  if (!definition) {
    const known = Object.values(definitions).map(({ path }) => path.split('/').at(-1));
    throw new OrchestratorError('USAGE', `${service} has no method ${method}; it has ${known.join(', ')}.`);
  }
  return { client: new found(address, credentials.createInsecure(), channelOptions), definition };
};

const parseRequests = (json: string | undefined, { requestStream }: Definition): object[] => {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json ?? '{}');
  } catch (error) {
    throw new OrchestratorError('USAGE', 'The request is not JSON.', { cause: error });
  }
  const requests: unknown[] = requestStream && Array.isArray(parsed) ? parsed : [parsed];
  return requests.map((request) => {
    if (typeof request !== 'object' || request === null || Array.isArray(request)) {
      throw new OrchestratorError('USAGE', 'The request is not a JSON object.');
    }
    return request;
  });
};

/** One path for all four kinds of methods: every answer is printed as it comes, one a line. */
const exchange = async (
  client: Client,
  definition: Definition,
  requests: readonly object[],
  token: string,
  { timeout, json }: CallOptions,
): Promise<void> => {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  const { path, requestSerialize, responseDeserialize } = definition;
  const stream = client.makeBidiStreamRequest(path, serializer(requestSerialize), responseDeserialize, metadata, {
    deadline: Date.now() + timeout,
  });
  for (const request of requests) stream.write(request);
  stream.end();
  try {
    for await (const answer of stream) {
      if (json) printJson(answer);
      else printLine(JSON.stringify(answer, undefined, 2));
    }
  } catch (thrown) {
    if (!isServiceError(thrown)) throw thrown;
    const error = fromServiceError(thrown, true);
    throw new OrchestratorError('REQUEST_FAILED', `${error.reason}: ${error.message}`);
  }
};

/** proto-loader throws on a field of the wrong type: that is the caller's mistake. */
const serializer =
  (serialize: (value: object) => Buffer) =>
  (value: object): Buffer => {
    try {
      return serialize(value);
    } catch (error) {
      throw new OrchestratorError('USAGE', 'The request does not fit the message.', { cause: error });
    }
  };

const isServiceError = (thrown: unknown): thrown is ServiceError =>
  typeof thrown === 'object' && thrown !== null && 'code' in thrown && 'details' in thrown && 'metadata' in thrown;
