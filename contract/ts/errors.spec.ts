import { Metadata, type Metadata as MetadataType, type ServiceError, status } from '@grpc/grpc-js';
import { describe, expect, test } from '@jest/globals';
import { BimetalError } from './bimetal-error.ts';
import { errorOf, fromResult, fromServiceError } from './errors.ts';
import { Error as ContractError, ErrorReason } from './gen/bimetal/errors/v1/errors.ts';
import * as classes from './gen/error-classes.ts';
import { errorTable } from './gen/error-table.ts';
import { BadRequest, ErrorInfo, RetryInfo } from './gen/google/rpc/error_details.ts';
import { Status } from './gen/google/rpc/status.ts';

const serviceError = (code: status, details = '', metadata: MetadataType = new Metadata()): ServiceError =>
  Object.assign(new Error(details), { code, details, metadata });

const statusDetails = (...details: { typeUrl: string; value: Buffer }[]): MetadataType => {
  const metadata = new Metadata();
  metadata.set('grpc-status-details-bin', Buffer.from(Status.encode({ code: 3, message: '', details }).finish()));
  return metadata;
};

const info = (reason: string, metadata: Record<string, string> = {}, domain = 'bimetal') => ({
  typeUrl: 'type.googleapis.com/google.rpc.ErrorInfo',
  value: Buffer.from(ErrorInfo.encode({ reason, domain, metadata }).finish()),
});

describe('the error table', () => {
  test('has a row for every reason of the contract and no other', () => {
    const reasons = Object.keys(ErrorReason).filter((name) => name !== 'UNSPECIFIED');
    expect(Object.keys(errorTable).toSorted()).toEqual(reasons.toSorted());
  });

  test.each(Object.entries(errorTable))('%s has a code that exists, a status, a title and a class', (reason, row) => {
    expect(row.grpcCode === undefined || row.grpcCode in status).toBe(true);
    expect(row.httpStatus).toBeGreaterThanOrEqual(400);
    expect(row.httpStatus).toBeLessThan(600);
    expect(row.title).not.toBe('');
    const error = errorOf(reason, 'what happened');
    expect(error).toBeInstanceOf(BimetalError);
    expect(error.constructor.name).toBe(error.name);
    expect(error).toMatchObject({ reason, message: 'what happened', row });
  });

  test.each(Object.entries(ErrorReason))('%s in a result raises its class', (name, number) => {
    const error = fromResult(ContractError.fromPartial({ reason: number, message: 'm' }));
    expect(error.reason).toBe(name === 'UNSPECIFIED' ? 'INTERNAL' : name);
  });
});

describe('a failed call', () => {
  test('gives the reason of its ErrorInfo with what it carries', () => {
    const details = statusDetails(
      info('WRONG_NODE', { owner: 'cache-1', epoch: '9007199254740993', current_version: '7' }),
      {
        typeUrl: 'type.googleapis.com/google.rpc.RetryInfo',
        value: Buffer.from(RetryInfo.encode({ retryDelay: { seconds: 1n, nanos: 1 } }).finish()),
      },
      {
        typeUrl: 'type.googleapis.com/google.rpc.BadRequest',
        value: Buffer.from(
          BadRequest.encode(
            BadRequest.fromPartial({ fieldViolations: [{ field: 'key', description: 'is empty' }] }),
          ).finish(),
        ),
      },
    );
    const error = fromServiceError(serviceError(status.FAILED_PRECONDITION, 'not mine', details), true);
    expect(error).toBeInstanceOf(classes.WrongNodeError);
    expect(error.details).toMatchObject({
      owner: { name: 'cache-1', epoch: 9007199254740993n },
      currentVersion: 7n,
      retryAfterMs: 1_001,
      violations: [{ field: 'key', description: 'is empty' }],
    });
  });

  test('of another domain is mapped by its code', () => {
    const details = statusDetails(info('KEY_NOT_FOUND', {}, 'example.com'));
    expect(fromServiceError(serviceError(status.NOT_FOUND, '', details), true).reason).toBe('INTERNAL');
  });

  test('with a reason that this build does not know is INTERNAL', () => {
    const details = statusDetails(info('FROM_THE_FUTURE'));
    expect(fromServiceError(serviceError(status.UNKNOWN, '', details), true).reason).toBe('INTERNAL');
  });

  test.each([
    [status.UNAVAILABLE, false, 'NODE_UNAVAILABLE'],
    [status.UNAVAILABLE, true, 'OUTCOME_UNKNOWN'],
    [status.RESOURCE_EXHAUSTED, true, 'RESPONSE_TOO_LARGE'],
    [status.DEADLINE_EXCEEDED, true, 'DEADLINE_EXCEEDED'],
    [status.CANCELLED, true, 'CANCELLED'],
    [status.UNIMPLEMENTED, true, 'NOT_IMPLEMENTED'],
    [status.INVALID_ARGUMENT, true, 'INVALID_ARGUMENT'],
    [status.DATA_LOSS, true, 'INTERNAL'],
  ])('without ErrorInfo: code %d, sent %s, is %s', (code, sent, reason) => {
    expect(fromServiceError(serviceError(code), sent).reason).toBe(reason);
  });
});
