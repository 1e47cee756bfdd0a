// Builds one service from a contract that was changed for it alone.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { goIdentity, type Identity, rustIdentity, typescriptIdentity } from '../../contract/generator/identity.ts';
import { REVISION } from '../../contract/ts/index.ts';
import { unoptimised } from '../../orchestrator/src/testing/unoptimised.ts';

const root = resolve(import.meta.dirname, '../..');
const run = promisify(execFile);

export type PlantedContract = AsyncDisposable & {
  readonly folder: string;
  readonly identity: Identity;
  readonly descriptorSet: Buffer;
};

/** The contract with one text of one file replaced. It lies within the checkout, so that packages are found from it. */
export const plantContract = async (
  file: string,
  from: string,
  to: string,
  revision = REVISION + 1,
): Promise<PlantedContract> => {
  await mkdir(join(root, '.bimetal'), { recursive: true });
  const folder = await mkdtemp(join(root, '.bimetal/planted-'));
  for (const part of ['proto', 'third_party', 'buf.yaml'])
    await cp(join(root, part), join(folder, part), { recursive: true });
  const path = join(folder, 'proto', file);
  const before = await readFile(path, 'utf8');
  if (before.split(from).length !== 2) throw new Error(`"${from}" does not stand once in ${file}`);
  await writeFile(path, before.replace(from, to));
  const buf = join(root, 'node_modules/@bufbuild/buf/bin/buf');
  const image = join(folder, 'descriptor.binpb');
  await run(
    process.execPath,
    [buf, 'build', 'proto', '--as-file-descriptor-set', '--exclude-source-info', '-o', image],
    { cwd: folder },
  );
  const descriptorSet = await readFile(image);
  const identity = { revision, digest: createHash('sha256').update(descriptorSet).digest('hex') };
  return { folder, identity, descriptorSet, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
};

/** The gateway, built from the planted contract: a command that runs it. */
export const buildGateway = async ({ folder, identity, descriptorSet }: PlantedContract): Promise<[string]> => {
  const contract = join(folder, 'contract-go');
  await cp(join(root, 'contract/go'), contract, { recursive: true });
  await writeFile(join(contract, 'gen/identity.go'), goIdentity(identity));
  await writeFile(join(contract, 'gen/descriptor.binpb'), descriptorSet);
  const gateway = join(root, 'gateway-go');
  const manifest = await readFile(join(gateway, 'go.mod'), 'utf8');
  await writeFile(join(folder, 'go.mod'), manifest.replace('=> ../contract/go', `=> ${contract}`));
  await cp(join(gateway, 'go.sum'), join(folder, 'go.sum'));
  const program = join(folder, 'gateway');
  const args = ['build', `-modfile=${join(folder, 'go.mod')}`, '-o', program, './cmd/gateway'];
  await run('go', args, { cwd: gateway, env: { ...process.env, GOWORK: 'off' } });
  return [program];
};

/**
 * The cache, built from the planted contract in a copy of the workspace: a command that runs it. The target directory is
 * the usual one, so that only the project's own crates are compiled anew. They have a version of their own there: cargo
 * tells crates of two workspaces apart by nothing else, and would take these for the real ones.
 */
export const buildCache = async ({ folder, identity, descriptorSet }: PlantedContract): Promise<[string]> => {
  for (const part of ['Cargo.toml', 'Cargo.lock', 'contract/rust', 'cache-rust', 'tests/clients/rust'])
    await cp(join(root, part), join(folder, part), { recursive: true });
  await writeFile(join(folder, 'contract/rust/gen/identity.rs'), rustIdentity(identity));
  await writeFile(join(folder, 'contract/rust/gen/descriptor.binpb'), descriptorSet);
  const name = 'bimetal-cache-planted';
  const workspace = join(folder, 'Cargo.toml');
  const version = /^version = "(.+)"$/m;
  await writeFile(workspace, (await readFile(workspace, 'utf8')).replace(version, 'version = "$1-planted"'));
  const manifest = join(folder, 'cache-rust/server/Cargo.toml');
  const program = `\n[[bin]]\nname = "${name}"\npath = "src/main.rs"\n`;
  await writeFile(manifest, `${await readFile(manifest, 'utf8')}${program}`);
  const target = process.env['CARGO_TARGET_DIR'] ?? join(root, 'target');
  const quickly = unoptimised('bimetal-contract', 'bimetal-engine', 'bimetal-cache');
  await run('cargo', ['build', '--offline', '--package', 'bimetal-cache', '--bin', name, ...quickly], {
    cwd: folder,
    env: { ...process.env, CARGO_TARGET_DIR: target },
    maxBuffer: 64 * 1024 * 1024,
  });
  return [join(target, 'debug', name)];
};

/** The example, with the planted contract beside it: a command that runs it. */
export const buildExample = async ({ folder, identity, descriptorSet }: PlantedContract): Promise<[string, string]> => {
  for (const part of ['contract/ts', 'services/example-ts'])
    await cp(join(root, part), join(folder, part), { recursive: true });
  await cp(join(root, 'package.json'), join(folder, 'package.json'));
  await writeFile(join(folder, 'contract/ts/gen/identity.ts'), typescriptIdentity(identity));
  await writeFile(join(folder, 'contract/ts/gen/descriptor.binpb'), descriptorSet);
  return [process.execPath, join(folder, 'services/example-ts/src/main.ts')];
};
