/**
 * Everything that can go wrong in the orchestrator, in one table: the code stands in `--json` output, the exit
 * code is what a script sees. orchestrator/README.md repeats the table and a test compares the two.
 */
export const failures = {
  INTERNAL: { exitCode: 1, meaning: 'anything that has no line of its own here' },
  USAGE: { exitCode: 2, meaning: 'an unknown command, option, instance or value; nothing was done' },
  PORT_TAKEN: { exitCode: 3, meaning: 'another process listens on a port that the platform needs' },
  BUILD_FAILED: { exitCode: 4, meaning: 'the sources of a service do not build' },
  UNHEALTHY: { exitCode: 5, meaning: 'an instance ended, or was not ready in time, or the first request failed' },
  CONTRACT_MISMATCH: { exitCode: 6, meaning: 'two services were built from contracts that do not fit together' },
  NO_ENGINE: { exitCode: 7, meaning: 'the container driver was asked for and no container engine answers' },
  TOOLCHAIN_MISSING: { exitCode: 8, meaning: 'Node, Go, Rust or a container engine is missing or too old' },
  NOT_RUNNING: { exitCode: 9, meaning: 'no platform of that name runs' },
  ALREADY_RUNNING: { exitCode: 10, meaning: 'a platform of that name runs already' },
  REQUEST_FAILED: { exitCode: 11, meaning: 'the platform answered the request with an error' },
  NOT_FOUND: { exitCode: 12, meaning: 'there is no such entry' },
  STOP_TIMED_OUT: { exitCode: 13, meaning: 'an instance did not stop in time and was left running (see --force)' },
  CHECK_FAILED: { exitCode: 14, meaning: 'a check or a test did not pass' },
  LOAD_FAILED: { exitCode: 15, meaning: 'a load had requests that failed or answers that were not right' },
  ROLLED_BACK: { exitCode: 16, meaning: 'a rollout did not hold its limits, or was aborted, and was rolled back' },
  INTERRUPTED: { exitCode: 130, meaning: 'a second signal ended the command at once' },
} as const;

export type FailureCode = keyof typeof failures;

export class OrchestratorError extends Error {
  readonly code: FailureCode;
  /** What a person may want to see below the message: a compiler's output, the last log lines. */
  readonly details: string | undefined;

  constructor(code: FailureCode, message: string, options: { details?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'OrchestratorError';
    this.code = code;
    this.details = options.details;
  }

  get exitCode(): number {
    return failures[this.code].exitCode;
  }
}

export const toOrchestratorError = (error: unknown): OrchestratorError => {
  if (error instanceof OrchestratorError) return error;
  const stack = fieldOf(error, 'stack');
  return new OrchestratorError('INTERNAL', messageOf(error), { cause: error, ...(stack && { details: stack }) });
};

/** The message of anything that was thrown. (Not by `instanceof Error`: a test's errors are of another realm.) */
export const messageOf = (error: unknown): string => fieldOf(error, 'message') ?? String(error);

/** `EEXIST`, `ECONNREFUSED` … of an error of the system. */
export const systemCodeOf = (error: unknown): string | undefined => fieldOf(error, 'code');

const fieldOf = (error: unknown, field: string): string | undefined => {
  if (typeof error !== 'object' || error === null) return undefined;
  const value: unknown = Reflect.get(error, field);
  return typeof value === 'string' ? value : undefined;
};
