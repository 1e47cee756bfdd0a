// docs/errors.md, from the error table and the comments that stand at the reasons in proto/.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ErrorRow } from './error-table.ts';

const source = join(import.meta.dirname, '../../proto/bimetal/errors/v1/errors.proto');

/** The comment above a reason. Descriptor sets are built without comments, so it is read from the source. */
const commentOf = (proto: string, reason: string): string => {
  const lines = proto.split('\n');
  const at = lines.findIndex((line) => line.trim().startsWith(`ERROR_REASON_${reason} =`));
  const comment: string[] = [];
  for (let i = at - 1; lines[i]?.trim().startsWith('//'); i--) comment.unshift(lines[i]?.trim().slice(2).trim() ?? '');
  return comment.join(' ');
};

const retryText: Record<string, string> = {
  NO: 'no',
  AFTER_READING: 'after re-reading',
  WITH_CREDENTIALS: 'with credentials',
  AFTER_DELAY: 'after `Retry-After`',
  WITH_FEWER_KEYS: 'with fewer keys',
  AT_OWNER: 'at the owner',
  WITH_OPERATION_ID: 'only with the same operation id, or after re-reading',
  YES: 'yes',
};

export const errorsMarkdown = (errors: readonly ErrorRow[]): string => {
  const proto = readFileSync(source, 'utf8');
  const rows = errors.map(
    (row) =>
      `| \`${row.reason}\` | ${row.grpcCode ?? '–'} | ${row.httpStatus} | ${retryText[row.retry] ?? row.retry} | ${commentOf(proto, row.reason)} |`,
  );
  return `<!-- Generated from proto/bimetal/errors/v1/errors.proto by \`npm run generate\`. Do not edit. -->
# Errors

Every error that a client can get, the same in Go, Rust and TypeScript. On gRPC the reason travels as
\`google.rpc.ErrorInfo\` with domain \`bimetal\`; on HTTP as \`reason\` of an RFC 9457 problem, whose \`type\` is the
anchor of this table and whose \`instance\` is the trace id; inside results as \`bimetal.errors.v1.Error\`. A \`–\` in the
gRPC column: the reason exists on HTTP only.

| reason | gRPC | HTTP | retry | what happened |
| --- | --- | --- | --- | --- |
${rows.join('\n')}
`;
};
