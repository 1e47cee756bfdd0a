// Makes everything that follows from proto/: the code in contract/{go,ts}/gen, one descriptor set per language, the
// identity of the contract, and docs/errors.md. With --check it changes nothing and fails on a difference.
//
// Rust's code is made by contract/rust/build.rs from the same descriptor set, so it cannot drift.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { readErrorTable } from './error-table.ts';
import { errorsMarkdown } from './errors-markdown.ts';
import { goIdentity, type Identity, identityJson, rustIdentity, typescriptIdentity } from './identity.ts';
import { typescriptErrorClasses, typescriptErrorTable } from './typescript-errors.ts';

const root = resolve(import.meta.dirname, '../..');
const identityFile = 'contract/identity.json';

/** Files and folders, below the root, that nobody edits by hand. */
const generated = ['contract/go/gen', 'contract/ts/gen', 'contract/rust/gen', identityFile, 'docs/errors.md'] as const;

const buf = (...args: string[]): void => {
  execFileSync(process.execPath, [join(root, 'node_modules/@bufbuild/buf/bin/buf'), ...args], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}` },
  });
};

/** The revision grows with every change of the descriptor set. */
const nextIdentity = (descriptorSet: Buffer): Identity => {
  const digest = createHash('sha256').update(descriptorSet).digest('hex');
  const file = join(root, identityFile);
  const committed: Identity = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : { revision: 0, digest: '' };
  return committed.digest === digest ? committed : { revision: committed.revision + 1, digest };
};

const write = (out: string, path: string, content: string | Buffer): void => {
  mkdirSync(dirname(join(out, path)), { recursive: true });
  writeFileSync(join(out, path), content);
};

const generateInto = (out: string): void => {
  buf('generate', '-o', out);
  buf('generate', '--template', 'buf.gen.third-party.yaml', '-o', out);
  const image = join(out, 'descriptor.binpb');
  buf('build', 'proto', '--as-file-descriptor-set', '--exclude-source-info', '-o', image);
  const descriptorSet = readFileSync(image);
  rmSync(image);
  const identity = nextIdentity(descriptorSet);
  for (const language of ['go', 'rust', 'ts']) {
    write(out, `contract/${language}/gen/descriptor.binpb`, descriptorSet);
  }
  write(out, 'contract/go/gen/identity.go', goIdentity(identity));
  write(out, 'contract/rust/gen/identity.rs', rustIdentity(identity));
  write(out, 'contract/ts/gen/identity.ts', typescriptIdentity(identity));
  const errors = readErrorTable(descriptorSet);
  write(out, 'contract/ts/gen/error-table.ts', typescriptErrorTable(errors));
  write(out, 'contract/ts/gen/error-classes.ts', typescriptErrorClasses(errors));
  write(out, identityFile, identityJson(identity));
  write(out, 'docs/errors.md', errorsMarkdown(errors));
};

/** All files below a path, relative to its base; a file stands for itself. */
const filesBelow = (base: string, path: string): string[] => {
  const full = join(base, path);
  if (!existsSync(full)) return [];
  const entries = readdirSync(dirname(full), { withFileTypes: true });
  if (entries.some((entry) => entry.isFile() && join(dirname(full), entry.name) === full)) return [path];
  return readdirSync(full, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(base, join(entry.parentPath, entry.name)));
};

const differences = (fresh: string): string[] =>
  generated.flatMap((path) => {
    const names = new Set([...filesBelow(root, path), ...filesBelow(fresh, path)]);
    return [...names].filter((name) => {
      const [a, b] = [join(root, name), join(fresh, name)];
      return !existsSync(a) || !existsSync(b) || !readFileSync(a).equals(readFileSync(b));
    });
  });

const fresh = mkdtempSync(join(tmpdir(), 'bimetal-contract-'));
try {
  generateInto(fresh);
  const changed = differences(fresh);
  if (process.argv.includes('--check')) {
    for (const name of changed) console.error(`differs from what proto/ gives: ${name}`);
    if (changed.length > 0) {
      console.error('Run `npm run generate` and commit the result.');
      process.exitCode = 1;
    }
  } else {
    // What is the same keeps its time of change: an edit of comments is none for Rust.
    for (const name of changed) {
      if (existsSync(join(fresh, name))) cpSync(join(fresh, name), join(root, name));
      else rmSync(join(root, name));
    }
    console.log(changed.length === 0 ? 'Nothing changed.' : `Changed: ${changed.join(', ')}`);
  }
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
