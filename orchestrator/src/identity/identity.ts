import { z } from 'zod';
import { OrchestratorError } from '../errors.ts';
import { http } from '../process/http.ts';

/** What a service answers to GET /contract: which contract it was built from. */
const identitySchema = z.object({
  service: z.string(),
  language: z.string(),
  version: z.string(),
  revision: z.number().int(),
  digest: z.string(),
  /** A serialized FileDescriptorSet with imports. */
  descriptorSet: z.base64(),
});

export type Identity = z.infer<typeof identitySchema>;

export const fetchIdentity = async (name: string, probeUrl: string): Promise<Identity> => {
  const answer = await http(`${probeUrl}/contract`, { timeoutMs: 5000 });
  if (answer.status !== 200) {
    throw new OrchestratorError('UNHEALTHY', `${name} answers ${answer.status} to GET /contract, not 200.`);
  }
  const parsed = identitySchema.safeParse(JSON.parse(answer.body.toString()));
  if (!parsed.success) {
    throw new OrchestratorError(
      'UNHEALTHY',
      `${name} answers GET /contract with something else: ${z.prettifyError(parsed.error)}`,
    );
  }
  return parsed.data;
};
