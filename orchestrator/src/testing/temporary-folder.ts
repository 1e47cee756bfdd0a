import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folders: string[] = [];

const removeAll = (): void => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
};

// A test file has this module to itself; orphans.ts is a program, which has no hooks.
if (typeof afterAll === 'function') afterAll(removeAll);
else process.once('exit', removeAll);

/** A new folder that is gone when the test file has ended, however it ended. */
export const temporaryFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'bimetal-test-'));
  folders.push(folder);
  return folder;
};
