import { copyFileSync, linkSync, mkdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { programOf } from '../../build/build.ts';
import type { ServiceSpec } from '../../model/types.ts';
import type { Reaper } from '../../process/reaper-client.ts';
import { stateFolder } from '../../root.ts';
import type { Build, HeldBuild } from '../generation.ts';

/**
 * The programs that a run uses, in a folder of its own: a later build replaces the file of the build before, and an
 * instance that is started again, or rolled back to, must run what it ran. Compilers write a new file and rename it, so
 * a link keeps the old one. (A service in TypeScript is run from its sources, which have no such copy.)
 */
export class PinnedPrograms {
  readonly #folder: string;
  readonly #pinned = new Set<string>();
  readonly #held = new Set<string>();
  #pins = 0;

  constructor(run: string, reaper: Reaper) {
    this.#folder = join(stateFolder, 'runs', `${run}-${process.pid}.programs`);
    reaper.addFile(this.#folder);
  }

  /** Keeps what was built last of a service. */
  pin(service: string, spec: ServiceSpec, release: boolean): HeldBuild {
    const [program, ...args] = programOf(spec, release);
    if (spec.build.kind === 'node' || spec.build.kind === 'prebuilt') return this.#hold([program, ...args]);
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
    this.#pinned.add(pinned);
    return this.#hold([pinned, ...args]);
  }

  #hold(command: readonly [string, ...string[]]): HeldBuild {
    const [program] = command;
    this.#held.add(program);
    return { build: { kind: 'program', command }, [Symbol.dispose]: () => this.#held.delete(program) };
  }

  /** Removes what is neither held nor in use. */
  prune(inUse: readonly (Build | undefined)[]): void {
    const used = inUse.flatMap((build) => (build?.kind === 'program' ? build.command[0] : []));
    const kept = new Set([...this.#held, ...used]);
    for (const program of this.#pinned) {
      if (kept.has(program)) continue;
      rmSync(dirname(program), { recursive: true, force: true });
      this.#pinned.delete(program);
    }
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
