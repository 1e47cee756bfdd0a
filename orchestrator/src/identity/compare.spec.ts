import { create, toBinary } from '@bufbuild/protobuf';
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import { compareContracts, type Side } from './compare.ts';

const { STRING, BYTES, INT64 } = FieldDescriptorProto_Type;

interface Field {
  readonly number: number;
  readonly name: string;
  readonly type: FieldDescriptorProto_Type;
}

const file = (fields: readonly Field[]): FileDescriptorProto =>
  create(FileDescriptorProtoSchema, {
    name: 'a.proto',
    package: 'bimetal.test.v1',
    syntax: 'proto3',
    messageType: [
      { name: 'Entry', field: fields.map((field) => ({ ...field, label: FieldDescriptorProto_Label.OPTIONAL })) },
    ],
    service: [
      {
        name: 'S',
        method: [{ name: 'Get', inputType: '.bimetal.test.v1.Entry', outputType: '.bimetal.test.v1.Entry' }],
      },
    ],
  });

const side = (name: string, revision: number, fields: readonly Field[]): Side => {
  const descriptorSet = toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: [file(fields)] }));
  return { name, revision, digest: Buffer.from(descriptorSet).toString('hex'), descriptorSet };
};

const key: Field = { number: 1, name: 'key', type: BYTES };
const value: Field = { number: 2, name: 'value', type: BYTES };

test('the same contract is equal', () => {
  expect(compareContracts(side('a', 1, [key]), side('b', 1, [key]))).toEqual({ kind: 'equal' });
});

test('a newer side that knows more is compatible, and the older side lacks it', () => {
  expect(compareContracts(side('new', 2, [key, value]), side('old', 1, [key]))).toEqual({
    kind: 'compatible',
    older: 'old',
    lacks: ['field 2 of bimetal.test.v1.Entry (bytes value)'],
  });
});

test.each([
  ['another type', { ...value, type: INT64 }, '"bytes value" in old and "int64 value" in new'],
  ['another name', { ...value, name: 'content' }, '"bytes value" in old and "bytes content" in new'],
])('a field with %s is breaking', (_, changed, difference) => {
  expect(compareContracts(side('old', 1, [key, value]), side('new', 2, [key, changed]))).toEqual({
    kind: 'breaking',
    older: 'old',
    differences: [`field 2 of bimetal.test.v1.Entry is ${difference}`],
  });
});

test('a field that moved to another number is breaking', () => {
  const result = compareContracts(side('old', 1, [key, value]), side('new', 2, [key, { ...value, number: 3 }]));
  expect(result).toMatchObject({
    kind: 'breaking',
    differences: ['field 2 of bimetal.test.v1.Entry (bytes value) is missing in new'],
  });
});

test('what the older side relies on must still be there', () => {
  expect(compareContracts(side('old', 1, [key, value]), side('new', 2, [key])).kind).toBe('breaking');
});

test('two contracts of the same revision never fit, and both directions are named', () => {
  const extra: Field = { number: 3, name: 'note', type: STRING };
  expect(compareContracts(side('a', 1, [key, value]), side('b', 1, [key, extra]))).toEqual({
    kind: 'breaking',
    older: undefined,
    differences: [
      'field 2 of bimetal.test.v1.Entry (bytes value) is missing in b',
      'field 3 of bimetal.test.v1.Entry (string note) is missing in a',
    ],
  });
});
