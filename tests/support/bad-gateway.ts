// A build of the gateway that something is wrong with: it stands before a good one (BIMETAL_BAD_UPSTREAM) and adds what
// BIMETAL_BAD asks for: `crash` at start, `unready` for ever, `slow` (600 ms), `errors` (one answer in a hundred is a
// 500), `contract` (an identity from a file); and what a canary cannot see, because it begins after 600 requests:
// `spoils` (every second answer is a 500), `dies`.
import { readFileSync } from 'node:fs';
import { createServer, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describeContract } from '../../contract/ts/index.ts';

const env = (name: string): string => process.env[`BIMETAL_${name}`] ?? '';
const bad = env('BAD');
const upstream = new URL(env('BAD_UPSTREAM'));

if (bad === 'crash') {
  process.stderr.write('out of luck\n');
  process.exit(1);
}

const listen = (setting: string, server: Server): Promise<string> => {
  const [host, port] = env(setting).split(':');
  return new Promise((resolve) =>
    server.listen(Number(port), host, () => resolve(`${host}:${(server.address() as AddressInfo).port}`)),
  );
};

let failures = 0;
const fail = (response: ServerResponse): void => {
  failures += 1;
  response.statusCode = 500;
  response.end();
};

let requests = 0;
const soundRequests = 600;
const http = createServer((incoming, response) => {
  requests += 1;
  if (bad === 'errors' && requests % 100 === 50) return fail(response);
  if (bad === 'spoils' && requests > soundRequests && requests % 2 === 0) return fail(response);
  if (bad === 'dies' && requests > soundRequests) process.exit(1);
  const options = {
    host: upstream.hostname,
    port: upstream.port,
    path: incoming.url,
    method: incoming.method,
    headers: { ...incoming.headers, host: upstream.host },
  };
  const forward = (): void => {
    const outgoing = request(options, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    outgoing.on('error', () => fail(response));
    incoming.pipe(outgoing);
  };
  setTimeout(forward, bad === 'slow' ? 600 : 0);
});

const metrics = (): string =>
  `bimetal_gateway_http_requests_total{status="500"} ${failures}\n` +
  `bimetal_gateway_http_requests_total{status="200"} ${requests - failures}\n`;

const admin = createServer((incoming, response) => {
  if (incoming.url === '/readyz') response.statusCode = bad === 'unready' ? 503 : 200;
  if (incoming.url === '/metrics') return void response.end(metrics());
  if (incoming.url !== '/contract') return void response.end();
  response.end(
    bad === 'contract' ? readFileSync(env('BAD_CONTRACT')) : JSON.stringify(describeContract('gateway', '0')),
  );
});

const addresses = { http: await listen('LISTEN', http), admin: await listen('ADMIN_LISTEN', admin) };
process.on('SIGTERM', () => process.exit(0));
process.stdin.on('end', () => process.exit(0)).resume();
const record = { time: new Date().toISOString(), level: 'info', msg: 'listening', addresses, pid: process.pid };
process.stdout.write(`${JSON.stringify({ ...record, service: 'gateway', instance: env('INSTANCE') })}\n`);
