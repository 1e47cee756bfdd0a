import {
  type DescMethod,
  type FileRegistry,
  fromBinary,
  fromJson,
  type JsonValue,
  toBinary,
  toJson,
} from '@bufbuild/protobuf';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { fromServiceError } from '../../../contract/ts/errors.ts';
import { channelOptions } from '../../../contract/ts/unary.ts';
import { messageOf, OrchestratorError } from '../errors.ts';
import { ReflectionClient } from '../reflection/reflection-client.ts';
import { requireRun } from '../run/control-client.ts';
import type { Run } from '../run/run-file.ts';
import type { CallOptions } from './commands/call.ts';
import { printJson, printLine } from './output.ts';

/** Like grpcurl: the server itself says by reflection which messages it takes; requests and answers are ProtoJSON. */
export const call = async (
  method: string | undefined,
  json: string | undefined,
  options: CallOptions,
): Promise<void> => {
  const run = requireRun(options.name);
  const address = addressOf(run, options.on);
  using reflection = await ReflectionClient.connect(address);
  const services = await listServices(reflection, address);
  if (options.list || method === undefined) {
    await list(reflection, services, options);
    return;
  }
  const [service, name] = resolve(method, services);
  const registry = await reflection.registryFor(service);
  const definition = methodOf(registry, service, name);
  const requests = parseRequests(json, definition, registry);
  await exchange(address, definition, registry, requests, run.runToken, options);
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

const listServices = async (reflection: ReflectionClient, address: string): Promise<string[]> => {
  try {
    return (await reflection.listServices()).filter((service) => !service.startsWith('grpc.reflection.'));
  } catch (error) {
    throw new OrchestratorError('REQUEST_FAILED', `${address} does not answer by reflection: ${messageOf(error)}`, {
      cause: error,
    });
  }
};

const list = async (
  reflection: ReflectionClient,
  services: readonly string[],
  { json }: CallOptions,
): Promise<void> => {
  const methods = await Promise.all(
    services.map(async (service) => {
      const registry = await reflection.registryFor(service);
      return (registry.getService(service)?.methods ?? []).map(({ name }) => `${service}/${name}`);
    }),
  );
  if (json) printJson(methods.flat());
  else for (const method of methods.flat()) printLine(method);
};

/** `CacheService/Get` will do where only one package has a CacheService. */
const resolve = (method: string, services: readonly string[]): [service: string, method: string] => {
  const [wanted = '', name = ''] = method.split('/');
  const found = services.filter((service) => service === wanted || service.endsWith(`.${wanted}`));
  if (name === '') throw new OrchestratorError('USAGE', `"${method}" is not Service/Method; --list shows all.`);
  const [service] = found;
  if (service !== undefined && found.length === 1) return [service, name];
  throw new OrchestratorError('USAGE', `There is no one service ${wanted}; there are ${services.join(', ')}.`);
};

const methodOf = (registry: FileRegistry, service: string, name: string): DescMethod => {
  const methods = registry.getService(service)?.methods ?? [];
  const found = methods.find((method) => method.name === name);
  if (found) return found;
  const known = methods.map((method) => method.name).join(', ');
  throw new OrchestratorError('USAGE', `${service} has no method ${name}; it has ${known}.`);
};

const isStreamOfRequests = ({ methodKind }: DescMethod): boolean =>
  methodKind === 'client_streaming' || methodKind === 'bidi_streaming';

/** The requests as bytes: a field that the message does not have is refused before anything is sent. */
const parseRequests = (json: string | undefined, method: DescMethod, registry: FileRegistry): Uint8Array[] => {
  try {
    const parsed: JsonValue = JSON.parse(json ?? '{}');
    const requests = isStreamOfRequests(method) && Array.isArray(parsed) ? parsed : [parsed];
    return requests.map((request) => toBinary(method.input, fromJson(method.input, request, { registry })));
  } catch (error) {
    throw new OrchestratorError('USAGE', `The request is no ${method.input.typeName} as JSON: ${messageOf(error)}`, {
      cause: error,
    });
  }
};

/** One path for all four kinds of methods: every answer is printed as it comes. */
const exchange = async (
  address: string,
  method: DescMethod,
  registry: FileRegistry,
  requests: readonly Uint8Array[],
  token: string,
  { timeout, json }: CallOptions,
): Promise<void> => {
  const client = new Client(address, credentials.createInsecure(), channelOptions);
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  const stream = client.makeBidiStreamRequest<Uint8Array, JsonValue>(
    `/${method.parent.typeName}/${method.name}`,
    (bytes) => Buffer.from(bytes),
    (bytes) => toJson(method.output, fromBinary(method.output, bytes), { registry }),
    metadata,
    { deadline: Date.now() + timeout },
  );
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
  } finally {
    client.close();
  }
};

const isServiceError = (thrown: unknown): thrown is ServiceError =>
  typeof thrown === 'object' && thrown !== null && 'code' in thrown && 'details' in thrown && 'metadata' in thrown;
