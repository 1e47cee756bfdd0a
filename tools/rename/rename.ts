// `npm run rename -- NAME`: makes the template somebody's own: packages, module paths, protobuf packages, the
// environment's prefix, metrics, the command. Run it once, on a clean checkout.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { nameProblem, replaceName } from './replace.ts';

const root = resolve(import.meta.dirname, '../..');
/** The present name: that of the npm package. */
const from: string = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).name;

const git = (...args: string[]): string => execFileSync('git', args, { cwd: root, encoding: 'utf8' });

const isText = (content: Buffer): boolean => !content.subarray(0, 8_192).includes(0);

/** Made again in the end, not replaced: they hold lengths and digests of what is replaced. */
const isGenerated = (file: string): boolean =>
  /^contract\/(go|ts|rust)\/gen\/|^contract\/identity\.json$|^proto\/vectors\/(messages|ownership)\//.test(file);

const renameFile = (file: string, to: string): void => {
  const renamed = replaceName(file, from, to);
  if (renamed === file) return;
  mkdirSync(dirname(join(root, renamed)), { recursive: true });
  renameSync(join(root, file), join(root, renamed));
};

const replaceIn = (file: string, to: string): void => {
  const content = readFileSync(join(root, file));
  if (!isText(content)) return;
  const before = content.toString('utf8');
  const after = replaceName(before, from, to);
  if (after !== before) writeFileSync(join(root, file), after);
};

/** Import lists and `use` lists are sorted: another name may stand elsewhere in them. */
const format = (): void => {
  const node = process.execPath;
  const formatters: [string, ...string[]][] = [
    [node, 'node_modules/@bufbuild/buf/bin/buf', 'format', '-w'],
    [node, 'node_modules/@biomejs/biome/bin/biome', 'check', '--write'],
    ['cargo', 'fmt', '--all'],
    ['gofmt', '-w', 'gateway-go', 'tests/clients/go', 'tests/consistency', 'contract/go'],
  ];
  for (const [program, ...args] of formatters) spawnSync(program, args, { cwd: root, stdio: 'ignore' });
};

const rename = (to: string): void => {
  const files = git('ls-files', '-z')
    .split('\0')
    .filter((file) => file !== '' && existsSync(join(root, file)));
  for (const file of files) if (!isGenerated(file)) replaceIn(file, to);
  for (const file of files) {
    if (isGenerated(file)) rmSync(join(root, file));
    else renameFile(file, to);
  }
  execFileSync(process.execPath, ['contract/generator/generate.ts'], { cwd: root, stdio: 'inherit' });
  execFileSync(process.execPath, ['contract/generator/vectors.ts'], { cwd: root, stdio: 'inherit' });
  format();
};

const name = process.argv[2];
const problem = name === from ? `It is "${from}" already.` : nameProblem(name);
if (problem !== undefined || name === undefined) {
  console.error(problem);
  process.exitCode = 2;
} else if (git('status', '--porcelain') !== '') {
  console.error(
    'There are changes that are not committed: commit or remove them first, so that the rename is one commit.',
  );
  process.exitCode = 2;
} else {
  rename(name);
  console.log(`"${from}" is "${name}" now. Look at it (git status), try it (npm test), and commit it.`);
  console.log('By hand: LICENSE, CODEOWNERS, SECURITY.md, and the domain of the Go modules if you publish them.');
}
