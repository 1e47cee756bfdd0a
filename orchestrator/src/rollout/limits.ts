/** What a new generation must hold; a rollout that does not is rolled back. */
export interface RolloutLimits {
  /** From the start of a process to ready, or caught up. */
  readonly readyMs: number;
  /** Failed of all requests, 0 to 1. */
  readonly errorRatio: number;
  /** Of the canary's requests; a baseline measured beside it that is slower raises it to three times that. */
  readonly p99Ms: number;
  /** How long requests of our own go to the new generation before callers' do. */
  readonly canaryMs: number;
  /** How long callers' requests are watched once they go to it. */
  readonly watchMs: number;
}

export const defaultLimits: RolloutLimits = {
  readyMs: 20_000,
  errorRatio: 0.001,
  p99Ms: 100,
  canaryMs: 2000,
  watchMs: 2000,
};
