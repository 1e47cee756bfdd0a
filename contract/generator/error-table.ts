// Reads the error table out of a descriptor set: the custom options on the values of ErrorReason.
import {
  createFileRegistry,
  type DescEnum,
  fromBinary,
  getExtension,
  hasExtension,
  type Message,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

export type ErrorRow = {
  /** The reason as it stands on every wire: the name without its prefix. */
  readonly reason: string;
  /** The number of the enum value. */
  readonly number: number;
  /** The name of the gRPC code; undefined: the reason exists on HTTP only. */
  readonly grpcCode: string | undefined;
  readonly httpStatus: number;
  readonly title: string;
  /** The name of the Retry value without its prefix. */
  readonly retry: string;
};

type Spec = Message & { grpcCode?: number; httpStatus: number; title: string; retry: number };

const nameOf = (desc: DescEnum, number: number): string => desc.value[number]?.name ?? String(number);

export const readErrorTable = (descriptorSet: Uint8Array): ErrorRow[] => {
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptorSet));
  const reasons = registry.getEnum('bimetal.errors.v1.ErrorReason');
  const retries = registry.getEnum('bimetal.errors.v1.Retry');
  const codes = registry.getEnum('google.rpc.Code');
  const extension = registry.getExtension('bimetal.errors.v1.error');
  if (!reasons || !retries || !codes || !extension) throw new Error('the descriptor set has no error table');
  return reasons.values
    .filter((value) => value.number !== 0)
    .map((value) => {
      const options = value.proto.options;
      if (!options || !hasExtension(options, extension)) throw new Error(`${value.name} has no row in the error table`);
      const spec = getExtension(options, extension) as unknown as Spec;
      return {
        reason: value.name.replace('ERROR_REASON_', ''),
        number: value.number,
        grpcCode: spec.grpcCode === undefined ? undefined : nameOf(codes, spec.grpcCode),
        httpStatus: spec.httpStatus,
        title: spec.title,
        retry: nameOf(retries, spec.retry).replace('RETRY_', ''),
      };
    });
};
