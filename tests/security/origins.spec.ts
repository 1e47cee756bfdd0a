// What a page of another origin could make a person's browser send is refused by every HTTP listener that asks nobody
// who they are: a foreign Host (DNS rebinding), a foreign Origin, Sec-Fetch-Site: cross-site. The gateway's routes are
// taken from its OpenAPI document.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type HttpAnswer, http } from '../../orchestrator/src/process/http.ts';
import { findRun } from '../../orchestrator/src/run/run-file.ts';
import { type ServedRun, serveRun } from '../../orchestrator/src/run/serve-run.ts';
import { useStage } from '../support/platform.ts';
import { expectProblem } from '../support/problem.ts';

const stage = useStage();

const foreign: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ['a foreign Host', { host: 'evil.example' }],
  ['a foreign Host with our port', { host: 'evil.example:8080' }],
  ['a Host that begins like loopback', { host: '127.0.0.1.evil.example' }],
  ['a Host that begins like localhost', { host: 'localhost.evil.example' }],
  ['a Host of the network', { host: '192.168.1.1' }],
  ['a foreign Origin', { origin: 'http://evil.example' }],
  ['an Origin that begins like loopback', { origin: 'http://127.0.0.1.evil.example' }],
  ['the Origin of a sandboxed page', { origin: 'null' }],
  ['a cross-site request', { 'sec-fetch-site': 'cross-site' }],
];

const familiar: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ['no such field', {}],
  ['localhost', { host: 'localhost:1234' }],
  ['IPv6 loopback', { host: '[::1]:1234' }],
  ['an Origin on loopback', { origin: 'http://localhost:7700' }],
  ['a request of the same origin', { 'sec-fetch-site': 'same-origin' }],
  ['an address typed by a person', { 'sec-fetch-site': 'none' }],
];

const send = (url: string, method: string, headers: Readonly<Record<string, string>>): Promise<HttpAnswer> =>
  http(url, { method, headers, timeoutMs: 10_000 });

type Operation = { readonly method: string; readonly path: string };

const methods = ['get', 'head', 'put', 'post', 'patch', 'delete'];

const operationsOf = async (): Promise<Operation[]> => {
  const document = (await stage().http.get('/openapi.json')).json() as { paths: Record<string, object> };
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.keys(item)
      .filter((method) => methods.includes(method))
      .map((method) => ({
        method: method.toUpperCase(),
        path: path.replace('{namespace}', 'security').replace('{key}', 'key').replace('{name}', 'security'),
      })),
  );
};

test('every operation of the OpenAPI document refuses foreign pages', async () => {
  const operations = await operationsOf();
  expect(operations.length).toBeGreaterThan(15);
  const url = stage().platform.instance('gateway-0').url('http');
  for (const { method, path } of operations) {
    expect(path).not.toContain('{');
    for (const [name, headers] of foreign) {
      const { status, body, headers: fields } = await send(url + path, method, headers);
      expect([method, path, name, status]).toEqual([method, path, name, 403]);
      if (method === 'HEAD') continue;
      const answer = { status, headers: { 'content-type': String(fields['content-type']) }, text: body.toString() };
      expectProblem({ ...answer, body, json: () => JSON.parse(answer.text), version: undefined }, 'PERMISSION_DENIED');
    }
  }
});

test('no operation of the OpenAPI document refuses our own', async () => {
  const url = stage().platform.instance('gateway-0').url('http');
  for (const { method, path } of await operationsOf()) {
    for (const [name, headers] of familiar) {
      const { status } = await send(url + path, method, headers);
      expect([method, path, name, status]).not.toEqual([method, path, name, 403]);
    }
  }
});

const listeners = [
  ['gateway-0', ['/livez', '/readyz', '/metrics', '/contract', '/debug/pprof/']],
  ['edge-0', ['/livez', '/readyz', '/metrics', '/contract']],
  ['cache-0', ['/livez', '/readyz', '/metrics', '/contract']],
  ['example-0', ['/livez', '/readyz', '/contract', '/fingerprints/ada']],
] as const;

/** Expects that pages of other origins are refused and our own are served. */
const expectGuarded = async (instance: string, path: string): Promise<void> => {
  const url = `${stage().platform.instance(instance).probeUrl}${path}`;
  const ask = (cases: typeof foreign) =>
    Promise.all(cases.map(async ([name, fields]) => [name, (await send(url, 'GET', fields)).status]));
  expect(await ask(foreign)).toEqual(foreign.map(([name]) => [name, 403]));
  expect(await ask(familiar)).toEqual(familiar.map(([name]) => [name, 200]));
};

describe.each(listeners)('%s', (instance, paths) => {
  test.each(paths)('%s', (path) => expectGuarded(instance, path));
});

describe('what the owner of a run offers', () => {
  let run: ServedRun;
  let control: string;
  beforeAll(async () => {
    run = await serveRun(stage().platform, { statusPort: 0, onStop: () => {} });
    control = findRun(stage().platform.name)?.control ?? '';
  });
  afterAll(() => run?.close());

  test.each(['/', '/page.js', '/page.css', '/api/status', '/api/logs?tail=1', '/livez'])(
    'the status page, %s',
    async (path) => {
      const url = run.statusPage + path;
      for (const [name, fields] of foreign)
        expect([name, (await send(url, 'GET', fields)).status]).toEqual([name, 403]);
      for (const [name, fields] of familiar)
        expect([name, (await send(url, 'GET', fields)).status]).toEqual([name, 200]);
    },
  );

  test.each([
    ['GET', '/v1/status'],
    ['GET', '/v1/logs'],
    ['POST', '/v1/stop'],
    ['POST', '/v1/instances/cache-0/kill'],
  ])('the control API needs its token: %s %s', async (method, path) => {
    const { controlToken, runToken } = stage().platform;
    const wrong: Readonly<Record<string, string>>[] = [
      {},
      { authorization: 'Bearer wrong' },
      { authorization: `Bearer ${runToken}` },
      { authorization: controlToken },
      { authorization: `Basic ${Buffer.from(`:${controlToken}`).toString('base64')}` },
      { authorization: `Bearer ${controlToken}x` },
      { cookie: `token=${controlToken}` },
    ];
    for (const headers of wrong) expect((await send(control + path, method, headers)).status).toBe(401);
    expect((await send(`${control}${path}?token=${controlToken}`, method, {})).status).toBe(401);
  });

  test('the control API takes its token, and not from a foreign page', async () => {
    const authorization = `Bearer ${stage().platform.controlToken}`;
    expect((await send(`${control}/v1/status`, 'GET', { authorization })).status).toBe(200);
    for (const [name, fields] of foreign)
      expect([name, (await send(`${control}/v1/status`, 'GET', { authorization, ...fields })).status]).toEqual([
        name,
        403,
      ]);
  });

  test('nothing was stopped', () => {
    for (const { name, state } of stage().platform.instances) expect([name, state]).toEqual([name, 'ready']);
  });
});
