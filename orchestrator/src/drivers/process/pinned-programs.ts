import { copyFileSync, linkSync, mkdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { programOf } from '../../build/build.ts';
import type { ServiceSpec } from '../../model/types.ts';
import type { Reaper } from '../../process/reaper-client.ts';
import { stateFolder } from '../../root.ts';

type Command = readonly [string, ...string[]];

/**
 * The programs that a run uses, in a folder of its own: a later build replaces the file of the build before, and an
 * instance that is started again, or rolled back to, must run what it ran. Compilers write a new file and rename it, so
 * a link keeps the old one. (A service in TypeScript is run from its sources, which have no such copy.)
 */
export class PinnedPrograms {
  readonly #folder: string;
  readonly #current = new Map<string, Command>();
  #pins = 0;

  constructor(run: string, reaper: Reaper) {
    this.#folder = join(stateFolder, 'runs', `${run}-${process.pid}.programs`);
    reaper.addFile(this.#folder);
  }

  /** What an instance without a build of its own runs: what there was when the first one started. */
  of(service: string, spec: ServiceSpec, release: boolean): Command {
    const command = this.#current.get(service) ?? this.pin(service, spec, release);
    this.#current.set(service, command);
    return command;
  }

  pin(service: string, spec: ServiceSpec, release: boolean): Command {
    const [program, ...args] = programOf(spec, release);
    if (spec.build.kind === 'node' || spec.build.kind === 'prebuilt') return [program, ...args];
    this.#pins += 1;
    const folder = join(this.#folder, `${service}-${this.#pins}`);
    mkdirSync(folder, { recursive: true });
    const pinned = join(folder, basename(program));
    try {
      linkSync(program, pinned);
    } catch {
      // Another file system.
      copyFileSync(program, pinned);
    }
    return [pinned, ...args];
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
