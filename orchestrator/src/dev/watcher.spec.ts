import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hashSources } from '../build/sources.ts';
import { temporaryFolder } from '../testing/temporary-folder.ts';
import { Watcher } from './watcher.ts';

let folder = '';
beforeEach(() => {
  folder = temporaryFolder();
  mkdirSync(join(folder, 'deep/er'), { recursive: true });
  writeFileSync(join(folder, 'deep/er/a.ts'), 'one');
});

/** How often what is below the folder differed when the watcher spoke, until it had been quiet for long enough. */
const changesWhile = async (work: () => Promise<void> | void): Promise<number> => {
  using watcher = new Watcher([folder]);
  const over = new AbortController();
  let seen = hashSources([folder], '');
  let changes = 0;
  const looking = (async () => {
    while (!over.signal.aborted) {
      await watcher.next(over.signal);
      const now = hashSources([folder], '');
      if (now !== seen) changes += 1;
      seen = now;
    }
  })();
  await work();
  await sleep(600);
  over.abort();
  await looking;
  return changes;
};

const file = (name: string): string => join(folder, 'deep/er', name);

test('a save is one change', async () => {
  expect(await changesWhile(() => writeFileSync(file('a.ts'), 'two'))).toBe(1);
});

test('a save that changes nothing is none', async () => {
  expect(await changesWhile(() => writeFileSync(file('a.ts'), 'one'))).toBe(0);
});

test('an editor that renames a new file into place makes one change', async () => {
  const save = (): void => {
    writeFileSync(file('.a.ts.swp'), 'two');
    renameSync(file('.a.ts.swp'), file('a.ts'));
  };
  expect(await changesWhile(save)).toBe(1);
});

// Some hundred saves; the second burst takes longer than until the watcher looks by itself.
test.each([500, 2400])('saves that go on for %d ms are one change', async (lengthMs) => {
  const burst = async (): Promise<void> => {
    const end = Date.now() + lengthMs;
    for (let i = 0; Date.now() < end; i += 1) {
      writeFileSync(file('a.ts'), `save ${i}`);
      await sleep(5);
    }
  };
  expect(await changesWhile(burst)).toBe(1);
});

test('a switch of branches that writes a hundred files, new folders among them, is one change', async () => {
  const checkout = (): void => {
    mkdirSync(join(folder, 'new/one'), { recursive: true });
    for (let i = 0; i < 100; i += 1) writeFileSync(join(folder, i % 2 ? 'new/one' : 'deep/er', `${i}.ts`), 'x');
    rmSync(file('a.ts'));
  };
  expect(await changesWhile(checkout)).toBe(1);
});
