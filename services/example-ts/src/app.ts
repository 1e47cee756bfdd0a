// The application, apart from the process that serves it: tests drive it by inject().
import type { FastifyInstance } from 'fastify';
import { BimetalError, type CacheClient, describeContract, foreignRequest } from '../../../contract/ts/index.ts';
import { cacheAside } from './cache-aside.ts';
import { computeFingerprint } from './fingerprint.ts';

export type Dependencies = { readonly cache: CacheClient; readonly gatewayUrl: string };

const named = { params: { type: 'object', properties: { name: { type: 'string', minLength: 1, maxLength: 200 } } } };

export const app = async (server: FastifyInstance, { cache, gatewayUrl }: Dependencies): Promise<void> => {
  server.addHook('onRequest', async (request, reply) => {
    const foreign = foreignRequest(request.headers);
    if (foreign !== undefined) return reply.code(403).send({ error: foreign });
  });

  server.get<{ Params: { name: string } }>('/fingerprints/:name', { schema: named }, async (request, reply) => {
    const { name } = request.params;
    const url = `${gatewayUrl}/v1/cache/demo/fingerprint%3A${encodeURIComponent(name)}`;
    const { value, from } = await cacheAside(url, 60, () => computeFingerprint(name), request.log);
    return reply.header('x-cache', from).send(value);
  });

  server.post<{ Params: { name: string } }>('/visits/:name', { schema: named }, async (request) => {
    const key = Buffer.from(`visits:${request.params.name}`);
    const { value } = await cache.increment({ namespace: 'demo', key, delta: 1n });
    return { page: request.params.name, visits: value.toString() };
  });

  server.get('/livez', async () => ({ status: 'ok' }));
  server.get('/readyz', async () => ({ status: 'ok' }));
  server.get('/contract', async () => describeContract('example', '0.1.0'));

  server.setErrorHandler<Error & { statusCode?: number }>((error, request, reply) => {
    const status = error instanceof BimetalError ? error.row.httpStatus : (error.statusCode ?? 500);
    if (status >= 500) request.log.error({ err: error }, 'request failed');
    return reply.code(status).send({ error: error.message });
  });
};
