import type { Topology } from '../model/types.ts';
import type { Step } from '../platform/steps.ts';
import type { Instance } from './instance.ts';

export type DriverKind = 'process' | 'container';

/** How the platform's instances come to life: as processes of this machine, or as containers of the compose file. */
export interface Driver {
  readonly kind: DriverKind;
  /** In start order. */
  readonly instances: readonly Instance[];
  /** Everything from building to every instance being ready. */
  readonly steps: readonly Step[];
  /** As the instances know it: with their own addresses for each other. Known once the steps are done. */
  readonly topology: Topology;
  /** Ends all instances: drains them for at most `drainMs`, then kills. Never throws. */
  stop(drainMs: number): Promise<void>;
}
