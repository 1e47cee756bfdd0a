import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import Fastify, { type FastifyInstance } from 'fastify';
import { z } from 'zod';
import { foreignRequest } from '../../../contract/ts/origin.ts';
import { logFilter } from '../logs/filter.ts';
import type { LogHub } from '../logs/hub.ts';
import { logLevels } from '../logs/record.ts';
import { root } from '../root.ts';
import { streamRecords } from '../run/log-stream.ts';
import type { Status } from '../run/status.ts';
import type { Monitor } from '../telemetry/monitor.ts';

export interface DashboardOptions {
  readonly status: () => Status;
  readonly monitor: Monitor;
  /** Absent where logs cannot be had: observing from outside. */
  readonly logs: LogHub | undefined;
  /** Calls back when an instance changes its state; returns the function that ends that. */
  readonly onChange: (tell: () => void) => () => void;
  /** Host names beyond loopback under which the page may be asked for. */
  readonly allowedHosts?: readonly string[];
}

const files: Readonly<Record<string, { readonly file: string; readonly type: string }>> = {
  '/': { file: 'index.html', type: 'text/html; charset=utf-8' },
  '/page.js': { file: 'page.js', type: 'text/javascript; charset=utf-8' },
  '/page.css': { file: 'page.css', type: 'text/css; charset=utf-8' },
};

const logsQuery = z.object({
  from: z.string().optional(),
  level: z.enum(logLevels).optional(),
  text: z.string().max(200).optional(),
  tail: z.coerce.number().int().min(0).max(5000).default(200),
  follow: z.stringbool().default(false),
});

/** The status page: it shows and changes nothing. */
export const createDashboard = (options: DashboardOptions): FastifyInstance => {
  const app = Fastify({ forceCloseConnections: true });

  // A page of the network must not read this one under a name that it controls (DNS rebinding).
  app.addHook('onRequest', async (request, reply) => {
    const foreign = foreignRequest(request.headers, options.allowedHosts);
    if (foreign !== undefined) return reply.code(403).send({ message: foreign });
    reply.header('content-security-policy', "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'");
    reply.header('x-content-type-options', 'nosniff');
    reply.header('cache-control', 'no-store');
  });

  for (const [url, { file, type }] of Object.entries(files)) {
    app.get(url, async (_request, reply) =>
      reply.type(type).send(await readFile(join(root, 'orchestrator', 'dashboard', file))),
    );
  }
  app.get('/livez', async () => 'ok\n');
  app.get('/readyz', async () => 'ok\n');
  app.get('/api/status', async () => options.status());

  app.get('/api/events', (_request, reply) => {
    reply.hijack();
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    const send = (): void => void reply.raw.write(`data: ${JSON.stringify(options.status())}\n\n`);
    send();
    const offs = [options.monitor.onLook(send), options.onChange(send)];
    reply.raw.on('close', () => {
      for (const off of offs) off();
    });
  });

  app.get('/api/logs', (request, reply) => {
    const query = logsQuery.safeParse(request.query);
    if (!query.success) return reply.code(400).send({ message: z.prettifyError(query.error) });
    if (!options.logs)
      return reply.code(404).send({ message: 'Logs are not collected here: see `docker compose logs`.' });
    const { from, level, text, tail, follow } = query.data;
    const matches = logFilter({
      ...(from && { from: from.split(',') }),
      ...(level && { level }),
      ...(text && { text }),
    });
    reply.hijack();
    const sse = { frame: (json: string) => `data: ${json}\n\n`, type: 'text/event-stream' };
    const ndjson = { frame: (json: string) => `${json}\n`, type: 'application/x-ndjson' };
    return streamRecords(options.logs, reply.raw, { matches, tail, follow, ...(follow ? sse : ndjson) });
  });

  return app;
};
