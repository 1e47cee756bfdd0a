import { fromBinary } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorSetSchema,
  type ServiceDescriptorProto,
} from '@bufbuild/protobuf/wkt';

/**
 * Every element of a contract that the wire knows of (a field by its number, an enum value by its number, a method by
 * its name), with all that its two sides have to agree on. What is vendored from others is left out.
 */
export type Elements = ReadonlyMap<string, string>;

const foreignPackages = /^(google|opentelemetry|grpc)\b/;

export const elementsOf = (descriptorSet: Uint8Array): Elements => {
  const files = fromBinary(FileDescriptorSetSchema, descriptorSet).file.filter(
    (file) => !foreignPackages.test(file.package),
  );
  return new Map(
    files.flatMap((file) => [
      ...file.messageType.flatMap((message) => messageElements(`${file.package}.${message.name}`, message)),
      ...file.enumType.flatMap((type) => enumElements(`${file.package}.${type.name}`, type)),
      ...file.service.flatMap((service) => serviceElements(`${file.package}.${service.name}`, service)),
    ]),
  );
};

type Entry = [element: string, shape: string];

const messageElements = (name: string, message: DescriptorProto): Entry[] => [
  [`message ${name}`, 'message'],
  ...message.field.map((field): Entry => [`field ${field.number} of ${name}`, fieldShape(field, message)]),
  ...message.nestedType.flatMap((nested) => messageElements(`${name}.${nested.name}`, nested)),
  ...message.enumType.flatMap((nested) => enumElements(`${name}.${nested.name}`, nested)),
];

const fieldShape = (field: FieldDescriptorProto, message: DescriptorProto): string => {
  const type = field.typeName.replace(/^\./, '') || (FieldDescriptorProto_Type[field.type] ?? '').toLowerCase();
  const repeated = field.label === FieldDescriptorProto_Label.REPEATED ? 'repeated ' : '';
  // An `optional` field is alone in a oneof that the compiler makes up: on the wire it is like any other.
  const oneof =
    !field.proto3Optional && Object.hasOwn(field, 'oneofIndex') ? message.oneofDecl[field.oneofIndex]?.name : undefined;
  return `${repeated}${type} ${field.name}${oneof ? ` in oneof ${oneof}` : ''}`;
};

const enumElements = (name: string, type: EnumDescriptorProto): Entry[] =>
  type.value.map((value): Entry => [`value ${value.number} of ${name}`, value.name]);

const serviceElements = (name: string, service: ServiceDescriptorProto): Entry[] =>
  service.method.map((method): Entry => {
    const type = (typeName: string, streams: boolean): string =>
      `${streams ? 'stream ' : ''}${typeName.replace(/^\./, '')}`;
    const shape = `${type(method.inputType, method.clientStreaming)} → ${type(method.outputType, method.serverStreaming)}`;
    return [`method ${name}.${method.name}`, shape];
  });
