import { errorTable, type Reason } from './gen/error-table.ts';

export type FieldViolation = { readonly field: string; readonly description: string };

/** What an error may carry beyond its reason and message; which of it, the error table's reasons say. */
export type ErrorDetails = {
  /** PRECONDITION_FAILED: the live entry's version, 0 for none. */
  readonly currentVersion?: bigint;
  /** Milliseconds to wait before the next try. */
  readonly retryAfterMs?: number;
  /** WRONG_NODE: who owns the key, at which epoch. */
  readonly owner?: { readonly name: string; readonly epoch: bigint };
  /** INVALID_ARGUMENT: the fields at fault. */
  readonly violations?: readonly FieldViolation[];
  readonly cause?: unknown;
};

/** An error of the contract's table. Each reason has a class of its own (gen/error-classes.ts). */
export class BimetalError extends Error {
  readonly reason: Reason;
  readonly details: ErrorDetails;

  constructor(reason: Reason, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.reason = reason;
    this.details = details;
  }

  /** The row of the error table. */
  get row(): (typeof errorTable)[Reason] {
    return errorTable[this.reason];
  }
}
