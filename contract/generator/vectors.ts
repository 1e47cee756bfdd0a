// Makes proto/vectors: every message of the contract as bytes and as canonical ProtoJSON, with the awkward cases of each
// field, and the owners of keys. All three languages read these files in their unit tests. With --check it changes
// nothing and fails on a difference. What a node or gateway refuses is written by hand in proto/vectors/refused.json.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import {
  createFileRegistry,
  type DescEnum,
  type DescField,
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonObject,
  type JsonValue,
  ScalarType,
  toBinary,
  toJson,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { ownerOf, weightOf } from '../ts/ownership.ts';

const root = resolve(import.meta.dirname, '../..');
const out = join(root, 'proto/vectors');
const registry = createFileRegistry(
  fromBinary(FileDescriptorSetSchema, readFileSync(join(root, 'contract/ts/gen/descriptor.binpb'))),
);

type Case = { readonly name: string; readonly bytes: string; readonly json: JsonValue };
type Awkward = readonly [name: string, json: JsonValue];

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

const uint64: readonly Awkward[] = [
  ['zero', '0'],
  ['above 2^53', '9007199254740993'],
  ['2^63 - 1', '9223372036854775807'],
  ['2^64 - 1', '18446744073709551615'],
];
const int64: readonly Awkward[] = [
  ['zero', '0'],
  ['minus one', '-1'],
  ['above 2^53', '9007199254740993'],
  ['2^63 - 1', '9223372036854775807'],
  ['-2^63', '-9223372036854775808'],
];

const scalars: Partial<Record<ScalarType, readonly Awkward[]>> = {
  [ScalarType.BOOL]: [
    ['false', false],
    ['true', true],
  ],
  [ScalarType.UINT32]: [
    ['zero', 0],
    ['2^32 - 1', 4_294_967_295],
  ],
  [ScalarType.INT32]: [
    ['zero', 0],
    ['2^31 - 1', 2_147_483_647],
    ['-2^31', -2_147_483_648],
  ],
  [ScalarType.UINT64]: uint64,
  [ScalarType.FIXED64]: uint64,
  [ScalarType.INT64]: int64,
  [ScalarType.SINT64]: int64,
  [ScalarType.STRING]: [
    ['empty', ''],
    ['ASCII', 'a-b'],
    ['beyond the basic plane', 'käse \u{1f9c0}\u0000"\\'],
  ],
  [ScalarType.BYTES]: [
    ['empty', ''],
    ['one zero byte', base64(Buffer.of(0))],
    ['invalid UTF-8', base64(Buffer.of(0xff, 0xfe, 0xc0, 0x80))],
    ['longer than one length byte', base64(Buffer.alloc(200, 0x61))],
  ],
};

const wellKnown: Record<string, readonly Awkward[]> = {
  'google.protobuf.Duration': [
    ['zero', '0s'],
    ['one nanosecond', '0.000000001s'],
    ['just below a second', '0.999999999s'],
    ['greatest', '315576000000.999999999s'],
    ['negative', '-1.500s'],
  ],
  'google.protobuf.Timestamp': [
    ['epoch', '1970-01-01T00:00:00Z'],
    ['one nanosecond', '2026-01-01T00:00:00.000000001Z'],
    ['greatest', '9999-12-31T23:59:59.999999999Z'],
  ],
  'google.protobuf.FieldMask': [
    ['empty', ''],
    ['two paths', 'quotaBytes,defaultTtl'],
  ],
  'google.protobuf.Empty': [['set', {}]],
};

const enumValues = (desc: DescEnum): readonly Awkward[] => [
  ...desc.values.map((value): Awkward => [value.name, value.name]),
  ['a number that this contract does not know', 4242],
];

/** The awkward values of one field; nested messages are taken empty and full. */
const awkward = (field: DescField): readonly Awkward[] => {
  switch (field.fieldKind) {
    case 'scalar':
      return scalars[field.scalar] ?? [];
    case 'enum':
      return enumValues(field.enum);
    case 'message':
      return (
        wellKnown[field.message.typeName] ?? [
          ['empty', {}],
          ['full', full(field.message)],
        ]
      );
    case 'list': {
      const items =
        field.listKind === 'scalar'
          ? (scalars[field.scalar] ?? [])
          : field.listKind === 'enum'
            ? enumValues(field.enum)
            : [];
      if (field.listKind === 'message') return [['one empty and one full', [{}, full(field.message)]]];
      return [['all awkward values', items.map(([, json]) => json)]];
    }
    default:
      throw new Error(`the contract has no ${field.fieldKind} fields so far: ${field.name}`);
  }
};

/** A message with every field set; of a oneof the last. */
const full = (desc: DescMessage): JsonObject => {
  const known = wellKnown[desc.typeName]?.at(-1);
  if (known) return known[1] as JsonObject;
  const fields = desc.fields.map((field) => [field, awkward(field).at(-1)] as const);
  const json: JsonObject = {};
  for (const [field, value] of fields) {
    if (value === undefined) continue;
    for (const sibling of field.oneof?.fields ?? []) delete json[sibling.jsonName];
    json[field.jsonName] = value[1];
  }
  return json;
};

const caseOf = (desc: DescMessage, name: string, json: JsonValue): Case => {
  const message = fromJson(desc, json, { registry });
  return { name, bytes: base64(toBinary(desc, message)), json: toJson(desc, message, { registry }) };
};

const casesOf = (desc: DescMessage): Case[] => [
  caseOf(desc, 'empty', {}),
  ...desc.fields.flatMap((field) =>
    awkward(field).map(([name, json]) => caseOf(desc, `${field.name}: ${name}`, { [field.jsonName]: json })),
  ),
  caseOf(desc, 'every field', full(desc)),
];

const ownershipKeys = (): Buffer[] => [
  Buffer.from('a'),
  Buffer.from('user:1'),
  Buffer.from('käse'),
  Buffer.of(0),
  Buffer.of(0xff, 0x00, 0xfe),
  Buffer.alloc(1_024, 0x6b),
  ...Array.from({ length: 40 }, (_, i) => Buffer.from(`key-${i}`)),
];

const ownership = (): JsonValue => ({
  rule: 'the node with the greatest XXH64 (seed 0) of name 0x00 namespace 0x00 key; ties go to the bytewise greater name',
  cases: [['cache-0'], ['cache-0', 'cache-1'], ['cache-0', 'cache-1', 'cache-2', 'cache-3', 'cache-4']].flatMap(
    (names) =>
      ['default', 'demo'].flatMap((namespace) =>
        ownershipKeys().map((key) => ({
          nodes: names,
          namespace,
          key: base64(key),
          owner:
            ownerOf(
              names.map((name) => ({ name })),
              namespace,
              key,
            )?.name ?? '',
          weights: names.map((name) => weightOf(name, namespace, key).toString()),
        })),
      ),
  ),
});

const files = (): Map<string, string> => {
  const made = new Map<string, string>();
  for (const file of registry.files) {
    if (!file.proto.package.startsWith('bimetal.')) continue;
    for (const desc of file.messages) {
      const content = { message: desc.typeName, cases: casesOf(desc) };
      made.set(`messages/${desc.typeName}.json`, `${JSON.stringify(content, null, 1)}\n`);
    }
  }
  made.set('ownership/rendezvous.json', `${JSON.stringify(ownership(), null, 1)}\n`);
  return made;
};

const committed = (): string[] =>
  ['messages', 'ownership'].flatMap((folder) =>
    existsSync(join(out, folder)) ? readdirSync(join(out, folder)).map((name) => `${folder}/${name}`) : [],
  );

const made = files();
if (process.argv.includes('--check')) {
  const changed = [...new Set([...made.keys(), ...committed()])].filter(
    (name) => !existsSync(join(out, name)) || readFileSync(join(out, name), 'utf8') !== made.get(name),
  );
  for (const name of changed) console.error(`differs from what the contract gives: proto/vectors/${name}`);
  if (changed.length > 0) {
    console.error('Run `npm run generate` and commit the result.');
    process.exitCode = 1;
  }
} else {
  for (const folder of ['messages', 'ownership']) {
    rmSync(join(out, folder), { recursive: true, force: true });
    mkdirSync(join(out, folder), { recursive: true });
  }
  for (const [name, content] of made) writeFileSync(join(out, name), content);
  console.log(`${made.size} vector files.`);
}
