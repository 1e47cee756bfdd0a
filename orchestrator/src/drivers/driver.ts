import type { Report, Step } from '../platform/steps.ts';
import type { Wiring } from '../platform/wiring.ts';
import type { Fleet } from './fleet.ts';
import type { HeldBuild } from './generation.ts';
import type { Instance } from './instance.ts';

export type DriverKind = 'process' | 'container';

/** How the platform's instances come to life: as processes of this machine, or as containers of the compose file. */
export interface Driver {
  readonly kind: DriverKind;
  readonly fleet: Fleet<Instance>;
  /** Everything from building to every instance being ready. */
  readonly steps: readonly Step[];
  readonly wiring: Wiring;
  /** Builds what changed of a service, and keeps the result for generations to come. One build of a service at a time. */
  build(service: string, signal: AbortSignal, report: Report): Promise<HeldBuild>;
  /** Removes the builds that nobody holds and no instance would be started with. Not while one of them is replaced. */
  prune(): void;
  /** Ends all instances: drains them for at most `drainMs`, then kills. Never throws. */
  stop(drainMs: number): Promise<void>;
}
