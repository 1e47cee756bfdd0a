import { fileURLToPath } from 'node:url';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { load } from '@grpc/proto-loader';
import { readDescriptorSet } from '../../../contract/ts/gen/identity.ts';
import { ReflectionClient } from './reflection-client.ts';

// Answers one file at a time, in the bytes that the compiler wrote. (@grpc/reflection goes through protobufjs and
// loses the imports of a file.)
const { file: files } = fromBinary(FileDescriptorSetSchema, readDescriptorSet());

type Question = { listServices?: string; fileContainingSymbol?: string; fileByFilename?: string };

const answerTo = ({ listServices, fileContainingSymbol, fileByFilename }: Question): object => {
  const servicesOf = (file: (typeof files)[number]) => file.service.map(({ name }) => `${file.package}.${name}`);
  if (listServices !== undefined) {
    return { listServicesResponse: { service: files.flatMap(servicesOf).map((name) => ({ name })) } };
  }
  const found = files.find(
    (file) => file.name === fileByFilename || servicesOf(file).includes(fileContainingSymbol ?? ''),
  );
  if (!found) return { errorResponse: { errorCode: 5, errorMessage: 'symbol not found' } };
  return { fileDescriptorResponse: { fileDescriptorProto: [toBinary(FileDescriptorProtoSchema, found)] } };
};

const server = new Server();
let client: ReflectionClient;

beforeAll(async () => {
  const definition = await load(
    fileURLToPath(import.meta.resolve('@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto')),
  );
  server.addService(definition['grpc.reflection.v1.ServerReflection'] as never, {
    ServerReflectionInfo: (stream: ServerDuplexStream<Question, object>) => {
      stream.on('data', (question: Question) => stream.write(answerTo(question)));
      stream.on('end', () => stream.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  client = await ReflectionClient.connect(`127.0.0.1:${port}`);
});

afterAll(() => {
  client[Symbol.dispose]();
  server.forceShutdown();
});

test('a server lists its services', async () => {
  expect(await client.listServices()).toContain('bimetal.cache.v1.CacheService');
});

test('a service comes with every message that its methods need, however its files import each other', async () => {
  const registry = await client.registryFor('bimetal.cache.v1.CacheService');
  const methods = registry.getService('bimetal.cache.v1.CacheService')?.methods ?? [];
  expect(methods.map(({ name }) => name)).toEqual(expect.arrayContaining(['Get', 'Put', 'Pipeline', 'Watch']));
  const put = methods.find(({ name }) => name === 'Put');
  expect(put?.input.fields.map(({ name }) => name)).toContain('content_type');
});

test('an unknown symbol is an error in the words of the server', async () => {
  await expect(client.registryFor('bimetal.nothing.v1.Nothing')).rejects.toThrow('symbol not found');
});
