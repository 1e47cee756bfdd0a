// What `npm run check` looks at. Steps of one lane run one after the other (they share a compiler's lock or cache), the
// lanes at the same time.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

export type Step = {
  readonly name: string;
  readonly command: readonly [program: string, ...args: string[]];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What a person does about a failure. */
  readonly mend: string;
};

/** A step that cannot run here, and why. */
export type Left = { readonly name: string; readonly reason: string };

const node = process.execPath;

const script = (root: string, path: string): string => join(root, 'node_modules', path);

const newestReleaseTag = async (root: string): Promise<string | undefined> => {
  try {
    const args = ['describe', '--tags', '--abbrev=0', '--match', 'v*'];
    return (await promisify(execFile)('git', args, { cwd: root })).stdout.trim();
  } catch {
    return undefined; // no git, no history, or no release yet
  }
};

const contractSteps = async (root: string): Promise<{ steps: Step[]; left: Left[] }> => {
  const buf = (...args: string[]): Step['command'] => [node, script(root, '@bufbuild/buf/bin/buf'), ...args];
  const tag = await newestReleaseTag(root);
  const steps: Step[] = [
    { name: 'contract: format', command: buf('format', '--diff', '--exit-code'), mend: 'npx buf format -w' },
    { name: 'contract: lint', command: buf('lint'), mend: 'follow what buf says' },
    {
      name: 'contract: generated code',
      command: [node, 'contract/generator/generate.ts', '--check'],
      mend: 'npm run generate',
    },
    {
      name: 'contract: vectors',
      command: [node, 'contract/generator/vectors.ts', '--check'],
      mend: 'npm run generate',
    },
    {
      name: 'compose file',
      command: [node, 'bin/run.mjs', 'emit', 'compose', '--check'],
      mend: './bimetal emit compose',
    },
  ];
  if (tag !== undefined) {
    steps.push({
      name: `contract: nothing breaks since ${tag}`,
      command: buf('breaking', 'proto', '--against', `.git#tag=${tag},subdir=proto`),
      mend: 'add fields and RPCs in place of changing them, or make a v2 package',
    });
    return { steps, left: [] };
  }
  return {
    steps,
    left: [{ name: 'contract: breaking changes', reason: 'no release tag is reachable to compare with' }],
  };
};

const typescriptSteps = (root: string): Step[] => [
  {
    name: 'typescript: format and lint',
    command: [node, script(root, '@biomejs/biome/bin/biome'), 'check'],
    mend: 'npx biome check --write',
  },
  {
    name: 'typescript: types',
    command: [node, script(root, 'typescript/bin/tsc'), '--noEmit'],
    mend: 'follow what tsc says',
  },
];

const rustSteps: Step[] = [
  { name: 'rust: format', command: ['cargo', 'fmt', '--all', '--check'], mend: 'cargo fmt --all' },
  {
    name: 'rust: clippy',
    command: ['cargo', 'clippy', '--quiet', '--workspace', '--all-targets', '--locked', '--', '-D', 'warnings'],
    mend: 'follow what clippy says',
  },
];

const goSteps = (root: string): Step[] => {
  const linter = join(root, 'build/bin/golangci-lint');
  const modules = ['contract/go', 'gateway-go', 'tests/clients/go', 'tests/consistency'].filter((path) =>
    existsSync(join(root, path, 'go.mod')),
  );
  const env = { GOWORK: 'off' };
  return [
    {
      name: 'go: linter',
      command: ['go', 'build', '-o', linter, 'github.com/golangci/golangci-lint/v2/cmd/golangci-lint'],
      cwd: join(root, 'tools/golangci-lint'),
      env,
      mend: 'see tools/golangci-lint/go.mod',
    },
    ...modules.flatMap((path): Step[] => [
      {
        name: `go: vet ${path}`,
        command: ['go', 'vet', './...'],
        cwd: join(root, path),
        env,
        mend: 'follow what vet says',
      },
      {
        name: `go: lint and format ${path}`,
        command: [linter, 'run', '--config', join(root, '.golangci.yml'), './...'],
        cwd: join(root, path),
        env,
        mend: `build/bin/golangci-lint run --fix (in ${path})`,
      },
    ]),
  ];
};

/** All lanes, and what is left out because something is not on this machine. */
export const checkLanes = async (
  root: string,
  has: (program: string) => boolean,
): Promise<{ lanes: Step[][]; left: Left[] }> => {
  const { steps, left } = await contractSteps(root);
  const lanes = [[...typescriptSteps(root), ...steps]];
  if (has('cargo')) lanes.push(rustSteps);
  else left.push({ name: 'rust', reason: 'cargo is not on this machine' });
  if (has('go')) lanes.push(goSteps(root));
  else left.push({ name: 'go', reason: 'go is not on this machine' });
  return { lanes, left };
};
