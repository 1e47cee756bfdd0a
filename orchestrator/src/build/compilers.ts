import type { BuildSpec } from '../model/types.ts';

export interface Compiler {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Tells a line that only says what is being done from one that a person has to read. */
  readonly isProgress: (line: string) => boolean;
}

type Of<Kind extends BuildSpec['kind']> = Extract<BuildSpec, { kind: Kind }>;

const cargo = (build: Of<'cargo'>, release: boolean): Compiler => ({
  command: 'cargo',
  args: ['build', '--locked', '--package', build.package, ...(release ? ['--release'] : [])],
  env: { CARGO_TERM_COLOR: 'never' },
  isProgress: (line) =>
    /^ *(Compiling|Checking|Downloading|Downloaded|Updating|Locking|Adding|Finished|Fresh|Blocking|Building) /.test(
      line,
    ),
});

/** `-v` names the packages as they are compiled: one word on a line, where errors have a position and a text. */
const go = (build: Of<'go'>): Compiler => ({
  command: 'go',
  args: ['build', '-v', '-o', build.output, build.package],
  env: {},
  isProgress: (line) => /^[^\s:]+$/.test(line) || line.startsWith('go: downloading '),
});

export const compilerOf = (build: Of<'cargo'> | Of<'go'>, release: boolean): Compiler =>
  build.kind === 'cargo' ? cargo(build, release) : go(build);
