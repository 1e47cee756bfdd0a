import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Something that the platform needs from the machine. */
export interface Tool {
  readonly name: string;
  /** The least version that will do. */
  readonly wanted: string;
  /** What was found, whatever its version. */
  readonly found: string | undefined;
  readonly ok: boolean;
  /** The command or the page that helps. */
  readonly mend: string;
}

/** The first version number of a program's output, or undefined where there is no such program. */
const versionOf = async (command: string, args: readonly string[]): Promise<string | undefined> => {
  try {
    const { stdout } = await run(command, args, { timeout: 10_000 });
    return /(\d+\.\d+(\.\d+)?)/.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
};

export const isAtLeast = (found: string, wanted: string): boolean => {
  const [a, b] = [found, wanted].map((version) => version.split('.').map(Number));
  for (let i = 0; i < 3; i += 1) {
    const difference = (a?.[i] ?? 0) - (b?.[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
};

const tool = (name: string, wanted: string, found: string | undefined, mend: string): Tool => ({
  name,
  wanted,
  found,
  ok: found !== undefined && isAtLeast(found, wanted),
  mend,
});

export const detectGo = async (): Promise<Tool> =>
  tool('Go', '1.26', await versionOf('go', ['version']), 'install it from https://go.dev/dl/');

export const detectRust = async (): Promise<Tool> =>
  tool(
    'Rust',
    '1.95',
    await versionOf('rustc', ['--version']),
    "`curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh`, then `rustup update stable`",
  );

export const detectNode = (): Tool =>
  tool('Node', '24.0', process.versions.node, 'install Node 24 from https://nodejs.org/');

export const detectEngine = async (): Promise<Tool> =>
  tool(
    'container engine',
    '20.10',
    await versionOf('docker', ['version', '--format', '{{.Server.Version}}']),
    'install Docker (https://docs.docker.com/engine/install/) and start it',
  );

export const detectCompose = async (): Promise<Tool> =>
  tool(
    'docker compose',
    '2.20',
    await versionOf('docker', ['compose', 'version', '--short']),
    'install the compose plugin: https://docs.docker.com/compose/install/',
  );
