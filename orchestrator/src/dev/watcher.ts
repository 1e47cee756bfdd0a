import { existsSync, type FSWatcher, statSync, watch } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { root } from '../root.ts';

/** Editors write a file in several steps, and a branch switch writes hundreds: one change is what ends in such a pause. */
const quietMs = 100;
/** Somebody who saves without a pause gets a build all the same. */
const longestWaitMs = 3000;
/** Should the system lose an event: what is there is looked at anyway. */
const lookEveryMs = 2000;

/**
 * Says that something below the paths may have changed. What did, contents tell: an editor that renames a new file
 * into place, or touches one, makes events that mean nothing.
 */
export class Watcher implements Disposable {
  readonly #watchers: FSWatcher[] = [];
  readonly #look: NodeJS.Timeout;
  #pause: NodeJS.Timeout | undefined;
  #firstAt: number | undefined;
  #waiting: (() => void) | undefined;
  #pending = false;

  constructor(paths: readonly string[]) {
    for (const path of new Set(paths)) {
      const absolute = resolve(root, path);
      if (!existsSync(absolute)) continue;
      // A file that is replaced by renaming is another file: its folder is watched.
      if (statSync(absolute).isDirectory())
        this.#watchers.push(watch(absolute, { recursive: true }, () => this.#saw()));
      else {
        const name = basename(absolute);
        this.#watchers.push(watch(dirname(absolute), (_event, file) => file === name && this.#saw()));
      }
    }
    for (const watcher of this.#watchers) watcher.on('error', () => {});
    this.#look = setInterval(() => {
      // In the midst of saves there is something to wait for.
      if (this.#pause === undefined) this.#tell();
    }, lookEveryMs);
  }

  #saw(): void {
    this.#firstAt ??= Date.now();
    clearTimeout(this.#pause);
    const wait = Math.min(quietMs, Math.max(0, this.#firstAt + longestWaitMs - Date.now()));
    this.#pause = setTimeout(() => this.#tell(), wait);
  }

  #tell(): void {
    this.#firstAt = undefined;
    this.#pause = undefined;
    this.#pending = true;
    this.#waiting?.();
  }

  /** Resolves after the next change, or at once if there was one since the last time. */
  async next(signal: AbortSignal): Promise<void> {
    if (!this.#pending && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting = resolve;
      signal.addEventListener('abort', () => resolve(), { once: true });
      await promise;
    }
    this.#waiting = undefined;
    this.#pending = false;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#look);
    clearTimeout(this.#pause);
    for (const watcher of this.#watchers) watcher.close();
  }
}
