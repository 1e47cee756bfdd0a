import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { root } from '../root.ts';

/** A copy of this checkout, with what is not committed yet, below .bimetal; its packages are those of this one. */
export const copyCheckout = async (prefix: string): Promise<string> => {
  await mkdir(join(root, '.bimetal'), { recursive: true });
  const copy = await mkdtemp(join(root, '.bimetal', prefix));
  const listing = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const { stdout } = await promisify(execFile)('git', listing, { cwd: root, maxBuffer: 16 * 1024 * 1024 });
  for (const file of stdout.split('\0').filter((name) => name !== '')) {
    await mkdir(dirname(join(copy, file)), { recursive: true });
    await cp(join(root, file), join(copy, file)).catch(() => {}); // deleted and not committed yet
  }
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
  return copy;
};
