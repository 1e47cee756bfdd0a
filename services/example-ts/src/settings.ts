import { z } from 'zod';
import { isLoopbackAddress } from '../../../contract/ts/index.ts';

const fields = z.object({
  BIMETAL_INSTANCE: z.string().default('example-0'),
  BIMETAL_LISTEN: z
    .string()
    .regex(/^.+:\d{1,5}$/, 'expected HOST:PORT')
    .default('127.0.0.1:8090'),
  BIMETAL_GATEWAY_URL: z.url().default('http://127.0.0.1:8080'),
  BIMETAL_TOPOLOGY: z
    .string('is needed: the topology as JSON')
    .transform((text, context) => {
      try {
        return JSON.parse(text) as unknown;
      } catch {
        context.addIssue('expected JSON');
        return z.NEVER;
      }
    })
    .pipe(z.object({ nodes: z.array(z.object({ name: z.string(), tag: z.number(), address: z.string() })).min(1) })),
  BIMETAL_ALLOW_UNAUTHENTICATED: z.enum(['true', 'false']).default('false'),
  BIMETAL_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
});

/** Nobody is asked who they are: beyond loopback that has to be wanted. */
const schema = fields.refine(
  (given) => given.BIMETAL_ALLOW_UNAUTHENTICATED === 'true' || isLoopbackAddress(given.BIMETAL_LISTEN),
  {
    path: ['BIMETAL_LISTEN'],
    message: 'is beyond loopback; set BIMETAL_ALLOW_UNAUTHENTICATED=true if something else keeps strangers away',
  },
);

export type Settings = z.infer<typeof schema>;

/** The settings of the service, from the environment. A wrong one ends the process with a sentence that names it. */
export const readSettings = (env: NodeJS.ProcessEnv): Settings => {
  const settings = schema.safeParse(env);
  if (settings.success) return settings.data;
  process.stderr.write(`${z.prettifyError(settings.error)}\n`);
  process.exit(2);
};
