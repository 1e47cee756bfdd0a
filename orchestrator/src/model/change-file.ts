import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { messageOf, OrchestratorError } from '../errors.ts';
import type { ModelChange } from './customise.ts';

const serviceChange = z.strictObject({
  replicas: z.number().int().min(1).max(64).exactOptional(),
  omit: z.boolean().exactOptional(),
  settings: z.record(z.string().regex(/^[A-Z0-9_]+$/), z.string()).exactOptional(),
  command: z.tuple([z.string()], z.string()).exactOptional(),
});

const modelChange = z.strictObject({
  services: z.record(z.string(), serviceChange).exactOptional(),
  namespaces: z.array(z.looseObject({ name: z.string() })).exactOptional(),
});

/** A ModelChange as JSON: `{"services": {"cache": {"replicas": 3}}}`. */
export const readModelChange = (file: string): ModelChange => {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new OrchestratorError('USAGE', `--change ${file}: ${messageOf(error)}.`, { cause: error });
  }
  const parsed = modelChange.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new OrchestratorError('USAGE', `--change ${file}: ${z.prettifyError(parsed.error)}`);
};
