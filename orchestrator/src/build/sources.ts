import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { root, stateFolder } from '../root.ts';

const isSource = (name: string): boolean => !['node_modules', 'target', 'build', '.git'].includes(name);

const filesBelow = (path: string): string[] => {
  const absolute = resolve(root, path);
  if (!existsSync(absolute)) return [];
  if (statSync(absolute).isFile()) return [path];
  return readdirSync(absolute, { withFileTypes: true })
    .filter(({ name }) => isSource(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => (entry.isDirectory() ? filesBelow(join(path, entry.name)) : [join(path, entry.name)]));
};

/** Of names and contents, so that a fresh clone or a changed time stamp alone rebuilds nothing. */
export const hashSources = (paths: readonly string[], salt: string): string => {
  const hash = createHash('sha256').update(salt);
  for (const file of paths.flatMap(filesBelow)) {
    const content = readFileSync(resolve(root, file));
    hash.update(`\0${file}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
};

/** Remembers from which sources something was built last. */
export class BuildStamp {
  readonly #file: string;
  readonly #hash: string;

  constructor(name: string, sources: readonly string[], salt = '') {
    this.#file = join(stateFolder, 'stamps', name);
    this.#hash = hashSources(sources, salt);
  }

  get isCurrent(): boolean {
    return existsSync(this.#file) && readFileSync(this.#file, 'utf8') === this.#hash;
  }

  /** The hash was taken before the build, so a file saved during it is built again next time. */
  save(): void {
    mkdirSync(dirname(this.#file), { recursive: true });
    writeFileSync(this.#file, this.#hash);
  }
}
