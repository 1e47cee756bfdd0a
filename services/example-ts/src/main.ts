// The process: settings, logs, listening, drain.
import Fastify, { type FastifyBaseLogger, LogController } from 'fastify';
import { pino } from 'pino';
import { CacheClient, DIGEST, REVISION } from '../../../contract/ts/index.ts';
import { app } from './app.ts';
import { readSettings } from './settings.ts';

const settings = readSettings(process.env);
const log = pino({
  level: settings.BIMETAL_LOG_LEVEL,
  base: { service: 'example', instance: settings.BIMETAL_INSTANCE },
  timestamp: pino.stdTimeFunctions.isoTime,
  formatters: { level: (level) => ({ level }) },
});
const server = Fastify({
  // Quiet until it listens: the first line of the log is ours, with the addresses.
  loggerInstance: log.child({}, { level: 'warn' }) as FastifyBaseLogger,
  logController: new LogController({ disableRequestLogging: true }),
});
const cache = new CacheClient(settings.BIMETAL_TOPOLOGY);
await server.register(app, { cache, gatewayUrl: settings.BIMETAL_GATEWAY_URL });

const separator = settings.BIMETAL_LISTEN.lastIndexOf(':');
// An IPv6 address stands in brackets there, and without them here.
const host = settings.BIMETAL_LISTEN.slice(0, separator).replace(/^\[(.*)\]$/, '$1');
const url = new URL(await server.listen({ host, port: Number(settings.BIMETAL_LISTEN.slice(separator + 1)) }));
log.info(
  { addresses: { http: url.host }, contract_revision: REVISION, contract_digest: DIGEST, pid: process.pid },
  'listening',
);
server.log.level = settings.BIMETAL_LOG_LEVEL;

/** Finishes what is in flight, then exits 0. */
const drain = async (): Promise<void> => {
  await server.close();
  cache[Symbol.dispose]();
};
process.once('SIGTERM', drain).once('SIGINT', drain);
