import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root } from '../root.ts';

/** The contract that the running services were built from. */
const running = 'contract/ts/gen/descriptor.binpb';

/** What a contract edit led to: nothing to complain of, or the words of whoever refused it. */
export interface ContractVerdict {
  readonly ok: boolean;
  readonly words: string;
}

/** Refuses an edit that does not parse, or breaks those who speak the running contract; else regenerates all languages. */
export const takeContract = async (): Promise<ContractVerdict> => {
  const buf = join(root, 'node_modules/@bufbuild/buf/bin/buf');
  const breaking = await attempt(buf, 'breaking', 'proto', '--against', running);
  return breaking.ok ? attempt(join(root, 'contract/generator/main.ts')) : breaking;
};

const attempt = async (script: string, ...args: readonly string[]): Promise<ContractVerdict> => {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [script, ...args], { cwd: root });
    return { ok: true, words: stdout.trim() };
  } catch (error) {
    const { stdout, stderr } = Object(error);
    return {
      ok: false,
      words: [stdout, stderr]
        .filter((text) => typeof text === 'string' && text !== '')
        .join('\n')
        .trim(),
    };
  }
};
