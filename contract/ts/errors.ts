// From what travels on gRPC to one error class per reason.
import { type ServiceError, status } from '@grpc/grpc-js';
import type { BimetalError, ErrorDetails } from './bimetal-error.ts';
import { toMilliseconds } from './durations.ts';
import { type Error as ContractError, ErrorReason } from './gen/bimetal/errors/v1/errors.ts';
import { errorClasses } from './gen/error-classes.ts';
import { errorTable, type Reason } from './gen/error-table.ts';
import type { Duration } from './gen/google/protobuf/duration.ts';
import { BadRequest, ErrorInfo, RetryInfo } from './gen/google/rpc/error_details.ts';
import { Status } from './gen/google/rpc/status.ts';

const domain = 'bimetal';

const isReason = (name: string): name is Reason => Object.hasOwn(errorTable, name);

/** The error of a reason, in the class of that reason. A reason that this build does not know is INTERNAL. */
export const errorOf = (reason: string, message: string, details: ErrorDetails = {}): BimetalError =>
  new errorClasses[isReason(reason) ? reason : 'INTERNAL'](message, details);

const retryDetails = (retryAfter: Duration | undefined): ErrorDetails =>
  retryAfter === undefined ? {} : { retryAfterMs: toMilliseconds(retryAfter) };

const reasonsByNumber = new Map(Object.entries(ErrorReason).map(([name, number]) => [number, name]));

/** The error that stands in a result. */
export const fromResult = (error: ContractError): BimetalError =>
  errorOf(reasonsByNumber.get(error.reason) ?? 'INTERNAL', error.message, {
    ...(error.currentVersion === undefined ? {} : { currentVersion: error.currentVersion }),
    ...retryDetails(error.retryAfter),
    ...(error.owner === undefined ? {} : { owner: error.owner }),
    ...(error.violations.length === 0 ? {} : { violations: error.violations }),
  });

/** Without ErrorInfo, clients map by code; what the table does not name by code is INTERNAL. */
const reasonByCode: Partial<Record<status, Reason>> = {
  [status.RESOURCE_EXHAUSTED]: 'RESPONSE_TOO_LARGE',
  [status.INVALID_ARGUMENT]: 'INVALID_ARGUMENT',
  [status.UNAUTHENTICATED]: 'UNAUTHENTICATED',
  [status.PERMISSION_DENIED]: 'PERMISSION_DENIED',
  [status.DEADLINE_EXCEEDED]: 'DEADLINE_EXCEEDED',
  [status.CANCELLED]: 'CANCELLED',
  [status.UNIMPLEMENTED]: 'NOT_IMPLEMENTED',
};

const number = (text: string | undefined): bigint | undefined =>
  text !== undefined && /^\d{1,20}$/.test(text) ? BigInt(text) : undefined;

const detailsOf = (encoded: Uint8Array): { reason: string; details: ErrorDetails } | undefined => {
  let reason: string | undefined;
  let details: ErrorDetails = {};
  for (const { typeUrl, value } of Status.decode(encoded).details) {
    const type = typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
    if (type === 'google.rpc.ErrorInfo') {
      const info = ErrorInfo.decode(value);
      if (info.domain !== domain) continue;
      reason = info.reason;
      const currentVersion = number(info.metadata['current_version']);
      const epoch = number(info.metadata['epoch']);
      const name = info.metadata['owner'];
      if (currentVersion !== undefined) details = { ...details, currentVersion };
      if (name !== undefined && epoch !== undefined) details = { ...details, owner: { name, epoch } };
    } else if (type === 'google.rpc.BadRequest') {
      details = { ...details, violations: BadRequest.decode(value).fieldViolations };
    } else if (type === 'google.rpc.RetryInfo') {
      details = { ...details, ...retryDetails(RetryInfo.decode(value).retryDelay) };
    }
  }
  return reason === undefined ? undefined : { reason, details };
};

/**
 * The error of a failed call.
 *
 * @param sent whether the request was written to a connection: a lost connection is then OUTCOME_UNKNOWN, else
 *   NODE_UNAVAILABLE (not begun).
 */
export const fromServiceError = (error: ServiceError, sent: boolean): BimetalError => {
  const encoded = error.metadata?.get('grpc-status-details-bin')[0];
  const known = Buffer.isBuffer(encoded) ? detailsOf(encoded) : undefined;
  if (known !== undefined) return errorOf(known.reason, error.details, { ...known.details, cause: error });
  const reason =
    error.code === status.UNAVAILABLE
      ? sent
        ? 'OUTCOME_UNKNOWN'
        : 'NODE_UNAVAILABLE'
      : (reasonByCode[error.code] ?? 'INTERNAL');
  return errorOf(reason, error.details, { cause: error });
};
