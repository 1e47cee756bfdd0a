import type { Reason } from '../../../contract/ts/gen/error-table.ts';
import type { Outcome } from './client.ts';

/**
 * What became of a request:
 * - `refused`: it was not begun, or changed nothing, and never will
 * - `unknown`: it was sent, and nobody knows whether it took effect
 */
export type Failure = { readonly kind: 'refused' | 'unknown'; readonly why: string };

/** By the error table: a request that ended with one of these may have taken effect. */
const uncertain: ReadonlySet<string> = new Set<Reason>(['OUTCOME_UNKNOWN', 'INTERNAL', 'CANCELLED']);

/** The same request may succeed a moment later. */
const passing: ReadonlySet<string> = new Set<Reason>([
  'NODE_UNAVAILABLE',
  'OVERLOADED',
  'DRAINING',
  'WRONG_NODE',
  'RATE_LIMITED',
  'DEADLINE_EXCEEDED',
  'HAND_OVER_FAILED',
  'OUTCOME_UNKNOWN',
]);

const pattern = /"reason":\s*"([A-Z_]+)"/;

export const reasonIn = (body: Buffer): string | undefined => pattern.exec(body.toString('latin1', 0, 2_048))?.[1];

/** What a request that was not served failed with: a status with a reason, or what the connection did. */
export const failureOf = (outcome: Outcome): Failure => {
  if (outcome.kind === 'broken') return { kind: outcome.sent ? 'unknown' : 'refused', why: outcome.reason };
  const { status, body } = outcome;
  const reason = reasonIn(body);
  const why = reason === undefined ? `${status} without a reason` : `${status} ${reason}`;
  const isUnknown = reason === undefined ? status >= 500 : uncertain.has(reason);
  return { kind: isUnknown ? 'unknown' : 'refused', why };
};

/** Whether repeating helps, if it is safe. */
export const isPassing = (outcome: Outcome): boolean =>
  outcome.kind === 'broken' || passing.has(reasonIn(outcome.body) ?? '');
