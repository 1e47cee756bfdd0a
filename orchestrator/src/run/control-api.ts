import { timingSafeEqual } from 'node:crypto';
import Fastify, { type FastifyInstance } from 'fastify';
import { z } from 'zod';
import { foreignRequest } from '../../../contract/ts/origin.ts';
import { OrchestratorError, toOrchestratorError } from '../errors.ts';
import { logFilter } from '../logs/filter.ts';
import { logLevels } from '../logs/record.ts';
import type { Platform } from '../platform/platform.ts';
import type { RolloutLimits } from '../rollout/limits.ts';
import { type RolloutEvent, restart, rollOut } from '../rollout/rollout.ts';
import { type ScaleEvent, scale } from '../scale/scale.ts';
import { CurrentChange } from './change-stream.ts';
import { streamRecords } from './log-stream.ts';
import type { Status } from './status.ts';

export interface ControlOptions {
  readonly platform: Platform;
  readonly status: () => Status;
  /** Asked to end the run. */
  readonly onStop: (how: { readonly drainMs?: number }) => void;
}

/** Nodes may have a lot to write. A Ctrl-C is more impatient. */
const patientDrainMs = 15_000;

const actions = ['start', 'stop', 'restart', 'kill', 'pause', 'resume'] as const;

const instanceParams = z.object({ name: z.string(), action: z.enum(actions) });
const stopBody = z
  .object({ timeoutMs: z.number().int().min(0).max(600_000).optional(), force: z.boolean().optional() })
  .nullish();
const logsQuery = z.object({
  follow: z.stringbool().default(false),
  from: z.string().optional(),
  level: z.enum(logLevels).optional(),
  text: z.string().optional(),
  tail: z.coerce.number().int().min(0).max(100_000).default(1000),
});

const rolloutBody = z.strictObject({
  target: z.string(),
  build: z.boolean().default(false),
  settings: z.record(z.string().regex(/^[A-Z0-9_]+$/), z.string()).optional(),
  limits: z
    .strictObject({
      readyMs: z.number().positive(),
      errorRatio: z.number().min(0).max(1),
      p99Ms: z.number().positive(),
      canaryMs: z.number().min(0).max(600_000),
      watchMs: z.number().min(0).max(600_000),
    })
    .partial()
    .optional(),
});

const scaleBody = z.strictObject({ service: z.string(), replicas: z.number().int() });

const defined = (limits: { readonly [Key in keyof RolloutLimits]?: number | undefined }): Partial<RolloutLimits> =>
  Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));

/** What the other commands ask the owner of a run: on loopback, with the token of the run file. */
export const createControlApi = ({ platform, status, onStop }: ControlOptions): FastifyInstance => {
  const app = Fastify({ forceCloseConnections: true });

  const expected = Buffer.from(`Bearer ${platform.controlToken}`);
  app.addHook('onRequest', async (request, reply) => {
    const foreign = foreignRequest(request.headers);
    if (foreign !== undefined) return reply.code(403).send({ code: 'USAGE', message: foreign });
    const given = Buffer.from(request.headers.authorization ?? '');
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      return reply.code(401).send({ code: 'USAGE', message: 'The token of the run file is needed.' });
    }
  });
  app.setErrorHandler((thrown, _request, reply) => {
    const error =
      thrown instanceof z.ZodError
        ? new OrchestratorError('USAGE', z.prettifyError(thrown))
        : toOrchestratorError(thrown);
    const status = error.code === 'USAGE' ? 400 : error.code === 'INTERNAL' ? 500 : 409;
    return reply.code(status).send({ code: error.code, message: error.message, details: error.details });
  });

  app.get('/v1/status', async () => status());

  app.post('/v1/stop', async (request, reply) => {
    const { force } = stopBody.parse(request.body) ?? {};
    await reply.code(202).send({});
    onStop(force ? {} : { drainMs: patientDrainMs });
  });

  const current = new CurrentChange();
  app.post('/v1/changes/abort', async () => ({ aborted: current.abort() }));
  app.post('/v1/rollouts', (request, reply) => {
    const { limits, settings, ...body } = rolloutBody.parse(request.body);
    return current.stream(reply, (signal, onEvent: (event: RolloutEvent) => void) =>
      rollOut(platform, {
        ...body,
        ...(settings && { settings }),
        ...(limits && { limits: defined(limits) }),
        signal,
        onEvent,
      }),
    );
  });

  app.post('/v1/scale', (request, reply) => {
    const { service, replicas } = scaleBody.parse(request.body);
    return current.stream(reply, (_signal, onEvent: (event: ScaleEvent) => void) =>
      scale(platform, { service, replicas, onEvent }),
    );
  });

  app.post('/v1/instances/:name/:action', async (request) => {
    const { name, action } = instanceParams.parse(request.params);
    const body = stopBody.parse(request.body) ?? {};
    const options = {
      ...(body.timeoutMs !== undefined && { timeoutMs: body.timeoutMs }),
      ...(body.force !== undefined && { force: body.force }),
    };
    const instance = platform.instance(name);
    // What can be replaced without a failed request is; the edge has the fixed ports, and --force asks for it.
    if (action === 'restart' && instance.isUp && !options.force && !instance.spec.spec.edge)
      await restart(platform, instance);
    else if (action === 'start') await instance.start();
    else await instance[action](options);
    return { name, state: instance.state };
  });

  app.get('/v1/logs', async (request, reply) => {
    const { follow, tail, from, level, text } = logsQuery.parse(request.query);
    const matches = logFilter({
      ...(from !== undefined && { from: from.split(',') }),
      ...(level !== undefined && { level }),
      ...(text !== undefined && { text }),
    });
    reply.hijack();
    streamRecords(platform.logs, reply.raw, {
      matches,
      tail,
      follow,
      frame: (json) => `${json}\n`,
      type: 'application/x-ndjson',
    });
  });

  return app;
};
