import type { Settings } from '../model/types.ts';
import type { StopOptions } from './instance.ts';

/** A build that later builds do not change: a program on disk, or an image. */
export type Build =
  | { readonly kind: 'program'; readonly command: readonly [string, ...string[]] }
  | { readonly kind: 'image'; readonly image: string };

/** A build that is there until it is let go, and from then on as long as an instance would be started with it. */
export interface HeldBuild extends Disposable {
  readonly build: Build;
}

/** How another generation is to differ from the present one. */
export interface LaunchChange {
  /** Absent: the present one's. */
  readonly build?: Build;
  /** On top of the model's, without the BIMETAL_ prefix; kept for later starts. Absent: the present one's. */
  readonly settings?: Settings;
  /** Settings of this start alone. */
  readonly once?: Settings;
}

/**
 * One process, or container, of an instance from its start to its end. An instance has one at a time but while it is
 * replaced: then the next one is started beside it, which becomes its own by `adopt`.
 */
export interface Generation {
  /** 1, 2, 3, … within the instance. */
  readonly number: number;
  readonly change: LaunchChange;
  /** HOST:PORT by the model's port names, reachable from this machine. */
  readonly addresses: Readonly<Record<string, string>>;
  /** The same for the other instances; unix:@NAME where the edge passes connections on as open sockets. */
  readonly innerAddresses: Readonly<Record<string, string>>;
  /** Where /readyz is answered. */
  readonly probeUrl: string;
  readonly running: boolean;
  /** Resolves when it answers /readyz; rejects with UNHEALTHY when it ends before that, or is late. */
  whenReady(limitMs?: number): Promise<void>;
  /** Drains it and resolves when it has ended. */
  stop(options?: StopOptions): Promise<void>;
  kill(): Promise<void>;
}
