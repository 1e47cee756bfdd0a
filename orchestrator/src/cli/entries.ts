import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { failures, OrchestratorError } from '../errors.ts';
import { type HttpAnswer, type HttpRequest, http } from '../process/http.ts';
import { requireRun } from '../run/control-client.ts';
import type { EntryOptions, GetOptions, PutOptions } from './commands/entries.ts';
import { printJson, printLine } from './output.ts';

export const getEntry = async (key: string, options: GetOptions): Promise<void> => {
  const answer = await ask(key, options, {});
  if (answer.status === 404) {
    process.exitCode = failures.NOT_FOUND.exitCode;
    if (options.json) printJson(describe(key, options, answer));
    else process.stderr.write(`There is no entry "${key}" in ${options.namespace}.\n`);
    return;
  }
  requireSuccess(answer);
  if (options.json) {
    printJson({ ...describe(key, options, answer), ...readableValue(answer.body) });
    return;
  }
  if (options.include) {
    for (const [name, value] of Object.entries(answer.headers)) printLine(`${name}: ${value}`);
    printLine();
  }
  process.stdout.write(answer.body);
  if (process.stdout.isTTY) printLine();
};

export const putEntry = async (key: string, value: string | undefined, options: PutOptions): Promise<void> => {
  const body = await bodyOf(value, options);
  const type = options.type ?? (isJson(body) ? 'application/json' : undefined);
  const answer = await ask(key, options, {
    method: 'PUT',
    body,
    headers: { 'content-length': String(body.length), ...(type && { 'content-type': type }) },
    ...(options.ttl !== undefined && { query: `?ttl=${encodeURIComponent(options.ttl)}` }),
  });
  requireSuccess(answer);
  if (options.json) printJson(describe(key, options, answer));
  else printLine(`${answer.status === 201 ? 'Created' : 'Replaced'}, version ${versionOf(answer)}`);
};

export const deleteEntry = async (key: string, options: EntryOptions): Promise<void> => {
  const answer = await ask(key, options, { method: 'DELETE' });
  requireSuccess(answer);
  if (options.json) printJson(describe(key, options, answer));
  else printLine('Deleted');
};

const ask = (key: string, options: EntryOptions, request: HttpRequest & { query?: string }): Promise<HttpAnswer> => {
  const gateway = requireRun(options.name).endpoints['gateway.http'];
  if (gateway === undefined)
    throw new OrchestratorError('NOT_RUNNING', `The platform "${options.name}" has no gateway yet.`);
  const path = [options.namespace, key].map(encodeSegment).join('/');
  return http(`http://${gateway}/v1/cache/${path}${request.query ?? ''}`, { timeoutMs: 10_000, ...request });
};

/** The keys `.` and `..` cannot be written in a path; that they are encoded does not help. */
const encodeSegment = (segment: string): string => {
  if (segment === '.' || segment === '..' || segment === '') {
    throw new OrchestratorError('USAGE', `"${segment}" cannot be written in a URL; use the batch request or gRPC.`);
  }
  return encodeURIComponent(segment);
};

const bodyOf = async (value: string | undefined, { file }: PutOptions): Promise<Buffer> => {
  if (value !== undefined && file !== undefined)
    throw new OrchestratorError('USAGE', 'Give a value or --file, not both.');
  if (value !== undefined) return Buffer.from(value);
  if (file === undefined) return buffer(process.stdin);
  try {
    return await readFile(file);
  } catch (error) {
    throw new OrchestratorError('USAGE', `Cannot read ${file}.`, { cause: error });
  }
};

const isJson = (body: Buffer): boolean => {
  try {
    JSON.parse(body.toString());
    return true;
  } catch {
    return false;
  }
};

const requireSuccess = (answer: HttpAnswer): void => {
  if (answer.status < 300) return;
  const text = answer.body.toString();
  throw new OrchestratorError('REQUEST_FAILED', `The gateway answered ${answer.status}${problemOf(text)}.`, {
    details: text,
  });
};

const problemOf = (text: string): string => {
  try {
    const { reason, detail }: { reason?: string; detail?: string } = JSON.parse(text);
    return ` ${reason ?? ''}: ${detail ?? ''}`.replace(/\.$/, '');
  } catch {
    return '';
  }
};

const versionOf = ({ headers }: HttpAnswer): string | undefined =>
  String(headers['etag'] ?? '').replaceAll('"', '') || undefined;

const describe = (key: string, { namespace }: EntryOptions, answer: HttpAnswer): object => ({
  namespace,
  key,
  status: answer.status,
  version: versionOf(answer),
  contentType: answer.status === 200 ? answer.headers['content-type'] : undefined,
});

/** A value that is JSON stands as it is, any other one in base64. */
const readableValue = (body: Buffer): object => {
  try {
    return { value: JSON.parse(body.toString()) };
  } catch {
    return { valueBase64: body.toString('base64') };
  }
};
