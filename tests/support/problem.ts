import { expect } from '@jest/globals';
import { errorTable, type Reason } from '../../contract/ts/index.ts';
import type { Answer } from './http.ts';

/** Expects an RFC 9457 problem of the error table's reason, with its status and title. Returns the problem. */
export const expectProblem = (answer: Answer, reason: Reason): Record<string, unknown> => {
  const row = errorTable[reason];
  expect({ status: answer.status, type: answer.headers['content-type'], body: answer.text }).toMatchObject({
    status: row.httpStatus,
    type: expect.stringMatching(/^application\/problem\+json/),
  });
  const problem = answer.json() as Record<string, unknown>;
  expect(problem).toMatchObject({
    status: row.httpStatus,
    title: row.title,
    reason,
    detail: expect.stringMatching(/.{10,}/),
  });
  expect(problem['type']).toMatch(new RegExp(reason.toLowerCase(), 'i'));
  expect(problem['instance']).toEqual(expect.stringMatching(/[0-9a-f]{32}/));
  return problem;
};
