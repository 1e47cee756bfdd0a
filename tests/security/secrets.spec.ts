// The run token and the token of the control API stand where they are needed, and nowhere else: not in a log line, a
// metric, an answer, or the arguments of a process.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  ControlServiceClient,
  DescribeRequest,
  DescribeResponse,
  type StatsRequest,
  type StatsResponse,
} from '../../contract/ts/gen/bimetal/control/v1/control_service.ts';
import { channelOptions, unary } from '../../contract/ts/index.ts';
import { http } from '../../orchestrator/src/process/http.ts';
import { findRun, runFilePath } from '../../orchestrator/src/run/run-file.ts';
import { type ServedRun, serveRun } from '../../orchestrator/src/run/serve-run.ts';
import { useStage } from '../support/platform.ts';

const stage = useStage({ settings: { LOG_LEVEL: 'debug' } });

const secrets = (): readonly string[] => [stage().platform.runToken, stage().platform.controlToken];

/** Also as base64, or with a part of it cut: half a secret is one. */
const expectNoSecret = (where: string, text: string): void => {
  for (const secret of secrets()) {
    const forms = [secret.slice(0, 16), Buffer.from(secret).toString('base64').slice(0, 16)];
    for (const form of forms) expect([where, text.includes(form)]).toEqual([where, false]);
  }
};

const speaksGrpc = [
  ['cache-0', 'grpc'],
  ['gateway-0', 'admin'],
  ['edge-0', 'admin'],
] as const;

const withControl = async <Result>(
  [instance, port]: (typeof speaksGrpc)[number],
  act: (client: ControlServiceClient) => Promise<Result>,
): Promise<Result> => {
  const address = stage().platform.instance(instance).address(port);
  const client = new ControlServiceClient(address, credentials.createInsecure(), channelOptions);
  try {
    return await act(client);
  } finally {
    client.close();
  }
};

let run: ServedRun;
let control: string;
beforeAll(async () => {
  run = await serveRun(stage().platform, { statusPort: 0, onStop: () => {} });
  control = findRun(stage().platform.name)?.control ?? '';
  // Tokens right and wrong are sent everywhere first: what a process writes about them it has written then.
  const { runToken, controlToken } = stage().platform;
  for (const server of speaksGrpc) {
    for (const token of [runToken, `${runToken}x`]) {
      await withControl(server, (client) =>
        unary<StatsRequest, StatsResponse>(client.stats.bind(client), {}, { token }),
      ).catch(() => {});
    }
  }
  for (const { probeUrl } of stage().platform.instances)
    await http(`${probeUrl}/nowhere?token=x`, { headers: { authorization: `Bearer ${runToken}` } });
  for (const authorization of [`Bearer ${controlToken}`, `Bearer ${controlToken}x`])
    await http(`${control}/v1/status`, { headers: { authorization } });
  await stage().http.request('PUT', '/v1/namespaces/secrets', {
    headers: { 'content-type': 'application/json' },
    body: '{}',
  });
});
afterAll(() => run?.close());

test('the secrets are long', () => {
  for (const secret of secrets()) expect(secret.length).toBeGreaterThanOrEqual(32);
  expect(new Set(secrets()).size).toBe(2);
});

test('no service logs them, at any level', () => {
  const { platform } = stage();
  const instances = new Set(platform.logs.recent().map(({ instance }) => instance));
  for (const { name } of platform.instances) expect(instances).toContain(name);
  expectNoSecret('logs', JSON.stringify(platform.logs.recent()));
});

describe('no answer has them', () => {
  test('metrics, contract, health', async () => {
    for (const { name, probeUrl } of stage().platform.instances) {
      for (const path of ['/metrics', '/contract', '/livez', '/readyz', '/debug/pprof/cmdline', '/debug/vars']) {
        const answer = await http(probeUrl + path, { timeoutMs: 10_000 });
        expectNoSecret(`${name} ${path}`, answer.body.toString('latin1'));
      }
    }
  });

  test.each(speaksGrpc)('Describe of %s', async (...server) => {
    const request = DescribeRequest.fromPartial({ includeDescriptorSet: true });
    const described = await withControl(server, (client) =>
      unary<DescribeRequest, DescribeResponse>(client.describe.bind(client), request),
    );
    expectNoSecret('Describe', Buffer.from(DescribeResponse.encode(described).finish()).toString('latin1'));
  });

  test('status page and control API', async () => {
    const headers = { authorization: `Bearer ${stage().platform.controlToken}` };
    for (const url of [`${control}/v1/status`, `${control}/v1/logs?tail=100000`])
      expectNoSecret(url, (await http(url, { headers })).body.toString());
    for (const path of ['/', '/page.js', '/api/status', '/api/logs?tail=5000'])
      expectNoSecret(path, (await http(run.statusPage + path)).body.toString());
  });
});

test('the arguments of no process on this machine have them', () => {
  let seen = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    let line = '';
    try {
      line = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
    } catch {
      continue; // It has ended.
    }
    seen += 1;
    expectNoSecret(`process ${pid}`, line);
  }
  expect(seen).toBeGreaterThan(5);
});

test('the file of the run, which has them, is for its user alone', () => {
  const file = runFilePath(stage().platform.name);
  expect(readFileSync(file, 'utf8')).toContain(stage().platform.runToken);
  expect((statSync(file).mode & 0o777).toString(8)).toBe('600');
});
