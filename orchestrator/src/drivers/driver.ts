import type { PlatformModel } from '../model/types.ts';
import type { Report, Step } from '../platform/steps.ts';
import type { Wiring } from '../platform/wiring.ts';
import type { Build } from './generation.ts';
import type { Instance } from './instance.ts';

export type DriverKind = 'process' | 'container';

/** How the platform's instances come to life: as processes of this machine, or as containers of the compose file. */
export interface Driver {
  readonly kind: DriverKind;
  /** Changes when a service is scaled. */
  readonly model: PlatformModel;
  /** In start order. */
  readonly instances: readonly Instance[];
  /** Everything from building to every instance being ready. */
  readonly steps: readonly Step[];
  readonly wiring: Wiring;
  /** Builds what changed of a service, and keeps the result for generations to come. */
  build(service: string, signal: AbortSignal, report: Report): Promise<Build>;
  /** Gives a service so many instances in the model and answers them; new ones are still to be started. */
  resize(service: string, replicas: number): readonly Instance[];
  /** Ends all instances: drains them for at most `drainMs`, then kills. Never throws. */
  stop(drainMs: number): Promise<void>;
}
