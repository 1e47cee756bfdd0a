import { afterAll, beforeAll, expect, test } from '@jest/globals';
import Fastify, { type FastifyInstance } from 'fastify';
import { CacheClient } from '../../../contract/ts/index.ts';
import { app } from './app.ts';

// What needs the platform is proved in tests/behaviour; here the platform is away.
const nowhere = { name: 'cache-0', tag: 1, address: '127.0.0.1:9' };
const cache = new CacheClient({ nodes: [nowhere] }, { timeoutMs: 1_000 });
let server: FastifyInstance;

beforeAll(async () => {
  server = Fastify();
  await server.register(app, { cache, gatewayUrl: 'http://127.0.0.1:9' });
});

afterAll(async () => {
  await server.close();
  cache[Symbol.dispose]();
});

test('without the gateway a fingerprint is computed all the same', async () => {
  const response = await server.inject('/fingerprints/ada');
  expect(response.statusCode).toBe(200);
  expect(response.headers['x-cache']).toBe('miss');
  expect(response.json()).toEqual({ name: 'ada', fingerprint: expect.stringMatching(/^[0-9a-f]{32}$/) });
});

test('without its node a counter answers what the error table says', async () => {
  const response = await server.inject({ method: 'POST', url: '/visits/home' });
  expect(response.statusCode).toBe(503);
});

test('it tells which contract it was built from', async () => {
  const response = await server.inject('/contract');
  expect(response.json()).toMatchObject({ service: 'example', language: 'typescript', revision: expect.any(Number) });
});
