import { fileURLToPath } from 'node:url';
import { create, createFileRegistry, type FileRegistry, fromBinary } from '@bufbuild/protobuf';
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { Client, credentials, type MethodDefinition, type ServiceError } from '@grpc/grpc-js';
import { load } from '@grpc/proto-loader';
import { channelOptions } from '../../../contract/ts/unary.ts';

/** grpc.reflection.v1.ServerReflectionRequest, as far as we ask. */
type Question =
  | { readonly listServices: string }
  | { readonly fileContainingSymbol: string }
  | { readonly fileByFilename: string };

/** The one part of grpc.reflection.v1.ServerReflectionResponse that is set. */
interface Answer {
  readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] };
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Uint8Array[] };
  readonly errorResponse?: { readonly errorCode: number; readonly errorMessage: string };
}

const protoFile = fileURLToPath(
  import.meta.resolve('@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto'),
);

/** Asks a server what it serves (grpc.reflection.v1). */
export class ReflectionClient implements Disposable {
  readonly #client: Client;
  readonly #method: MethodDefinition<Question, Answer>;

  private constructor(client: Client, method: MethodDefinition<Question, Answer>) {
    this.#client = client;
    this.#method = method;
  }

  static async connect(address: string): Promise<ReflectionClient> {
    const definition = await load(protoFile);
    const service = definition['grpc.reflection.v1.ServerReflection'];
    const method = service && Reflect.get(service, 'ServerReflectionInfo');
    return new ReflectionClient(new Client(address, credentials.createInsecure(), channelOptions), method);
  }

  async listServices(): Promise<string[]> {
    const { listServicesResponse } = await this.#ask({ listServices: '*' });
    return (listServicesResponse?.service ?? []).map(({ name }) => name).sort();
  }

  /** Everything that the symbol's file needs. */
  async registryFor(symbol: string): Promise<FileRegistry> {
    const files = new Map<string, FileDescriptorProto>();
    const take = async (question: Question): Promise<void> => {
      const { fileDescriptorResponse } = await this.#ask(question);
      const arrived = (fileDescriptorResponse?.fileDescriptorProto ?? []).map((bytes) =>
        fromBinary(FileDescriptorProtoSchema, bytes),
      );
      for (const file of arrived) files.set(file.name, file);
      for (const name of arrived.flatMap(({ dependency }) => dependency)) {
        if (!files.has(name)) await take({ fileByFilename: name });
      }
    };
    await take({ fileContainingSymbol: symbol });
    return createFileRegistry(create(FileDescriptorSetSchema, { file: importsFirst(files) }));
  }

  /** A stream for each question: nothing here is asked often. */
  #ask(question: Question): Promise<Answer> {
    const { path, requestSerialize, responseDeserialize } = this.#method;
    return new Promise((resolve, reject) => {
      const deadline = Date.now() + 5000;
      const stream = this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, { deadline });
      stream.on('data', (answer: Answer) => {
        if (answer.errorResponse) reject(new Error(answer.errorResponse.errorMessage));
        else resolve(answer);
      });
      stream.on('error', (error: ServiceError) => reject(new Error(error.details || error.message)));
      stream.on('end', () => reject(new Error('the server ended the stream without an answer')));
      stream.end(question);
    });
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

/** A file may only use what stands before it. */
const importsFirst = (files: ReadonlyMap<string, FileDescriptorProto>): FileDescriptorProto[] => {
  const ordered = new Set<FileDescriptorProto>();
  const add = (name: string): void => {
    const file = files.get(name);
    if (!file || ordered.has(file)) return;
    for (const needed of file.dependency) add(needed);
    ordered.add(file);
  };
  for (const name of files.keys()) add(name);
  return [...ordered];
};
