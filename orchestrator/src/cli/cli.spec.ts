import { spawn } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { failures } from '../errors.ts';
import { root } from '../root.ts';
import { attachPlatform } from '../run/attach.ts';
import { findRun } from '../run/run-file.ts';
import { bimetal, Command, fakeChangeFile, freshName, upArgs } from '../testing/cli.ts';
import { temporaryFolder } from '../testing/temporary-folder.ts';

const codeOf = (name: keyof typeof failures): number => failures[name].exitCode;

/** A folder with programs that answer `--version` as they are told, to be put first on the PATH. */
const fakePrograms = (programs: Readonly<Record<string, string>>): string => {
  const folder = temporaryFolder();
  for (const [name, script] of Object.entries(programs)) {
    writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(folder, name), 0o755);
  }
  return `${folder}${delimiter}${process.env['PATH']}`;
};

describe('a running platform', () => {
  const name = freshName();
  let up: Command;
  beforeAll(async () => {
    up = new Command(upArgs(name));
    await up.says('Ready in');
  }, 30_000);
  afterAll(async () => {
    up.process.kill('SIGTERM');
    await up.ended;
  });

  test('status says where everything is, as text and as JSON', async () => {
    const text = await bimetal('status', '--name', name);
    expect(text.stdout).toMatch(/cache-0 +ready/);
    const json = await bimetal('status', '--json', '--name', name);
    expect(json.code).toBe(0);
    const status = JSON.parse(json.stdout);
    expect(status.instances.map((instance: { name: string }) => instance.name)).toEqual([
      'cache-0',
      'cache-1',
      'gateway-0',
    ]);
  });

  test('the run file can be read by its owner alone', async () => {
    const { statSync } = await import('node:fs');
    expect(statSync(join(root, '.bimetal', 'runs', `${name}.json`)).mode & 0o777).toBe(0o600);
  });

  test('the control API refuses whoever has no token', async () => {
    const answer = await fetch(`${findRun(name)?.control}/v1/status`);
    expect(answer.status).toBe(401);
  });

  test('put, get and del go through the gateway', async () => {
    expect((await bimetal('put', 'k', '{"a":1}', '--name', name)).stdout).toContain('Created');
    expect((await bimetal('get', 'k', '--name', name)).stdout).toBe('{"a":1}');
    expect((await bimetal('del', 'k', '--name', name)).code).toBe(0);
    const missing = await bimetal('get', 'k', '--name', name);
    expect(missing.code).toBe(codeOf('NOT_FOUND'));
  });

  test('logs are filtered by instance, level and text', async () => {
    const { stdout } = await bimetal('logs', 'cache-0', '--text', 'topology', '--json', '--name', name);
    const records = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(records.map(({ instance, msg }) => [instance, msg])).toEqual([['cache-0', 'topology']]);
  });

  test('restart starts a new process of an instance before it ends the old one', async () => {
    const before = findRun(name)?.instances['cache-1'];
    const { code, stdout } = await bimetal('restart', 'cache-1', '--name', name);
    expect([code, stdout]).toEqual([0, 'cache-1 is ready\n']);
    const after = findRun(name)?.instances['cache-1'];
    expect(after).toBeDefined();
    expect(after).not.toEqual(before);
  });

  test('a killed instance makes status fail until it is started again', async () => {
    await bimetal('kill', 'cache-1', '--name', name);
    expect((await bimetal('status', '--name', name)).code).toBe(codeOf('UNHEALTHY'));
    await bimetal('start', 'cache-1', '--name', name);
    expect((await bimetal('status', '--name', name)).code).toBe(0);
  });

  test('another process that attaches to it reaches its gateway and its nodes, and is told what it does not know', async () => {
    const attached = attachPlatform(name);
    const url = `${attached.instance('gateway-0').url('http')}/v1/cache/demo/attached`;
    expect((await fetch(url, { method: 'PUT', body: 'x' })).status).toBe(201);
    expect(attached.endpoint('gateway.http')).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(attached.clientTopology.nodes.map(({ name: node, address }) => [node, address])).toEqual(
      ['cache-0', 'cache-1'].map((node) => [node, attached.instance(node).address('grpc')]),
    );
    expect(() => attached.instance('cache-9')).toThrow('there are cache-0, cache-1, gateway-0');
    expect(() => attachPlatform('nobody')).toThrow('No platform "nobody" runs here');
  });

  test('a second platform of that name is refused', async () => {
    const { code, stderr } = await bimetal(...upArgs(name));
    expect(code).toBe(codeOf('ALREADY_RUNNING'));
    expect(stderr).toContain('runs already');
  });

  test('an unknown instance is a usage error that names the known ones', async () => {
    const { code, stderr } = await bimetal('restart', 'cache-9', '--name', name);
    expect(code).toBe(codeOf('USAGE'));
    expect(stderr).toContain('cache-0, cache-1, gateway-0');
  });

  test('the status page is served with its parts and refuses foreign host names', async () => {
    const { statusPage } = JSON.parse((await bimetal('status', '--json', '--name', name)).stdout);
    for (const path of ['/', '/page.js', '/page.css', '/api/status']) {
      expect((await fetch(`${statusPage}${path}`)).status).toBe(200);
    }
    const { http } = await import('../process/http.ts');
    expect((await http(`${statusPage}/`, { headers: { host: 'evil.example' } })).status).toBe(403);
  });
});

test('Ctrl-C that arrives several times ends everything once and cleanly', async () => {
  const name = freshName();
  const up = new Command(upArgs(name));
  await up.says('Ready in');
  for (let i = 0; i < 3; i += 1) up.signalGroup('SIGINT');
  expect((await up.ended).code).toBe(0);
  expect(findRun(name)).toBeUndefined();
});

const withTerminal = existsSync('/usr/bin/script') ? test : test.skip;

withTerminal('Ctrl-C in a terminal, where the whole foreground group gets it, ends everything', async () => {
  const name = freshName();
  const line = ['npm', 'start', '--', ...upArgs(name).slice(1)].join(' ');
  const terminal = spawn('script', ['--quiet', '--flush', '--return', '--command', line, '/dev/null'], { cwd: root });
  let screen = '';
  terminal.stdout.setEncoding('utf8').on('data', (text: string) => {
    screen += text;
    if (!terminal.stdin.writableEnded && screen.includes('Ready in')) terminal.stdin.end('\x03');
  });
  await new Promise((resolve) => terminal.on('close', resolve));
  expect(screen).toContain('Stopping');
  expect(findRun(name)).toBeUndefined();
});

test('down ends a platform of another terminal', async () => {
  const name = freshName();
  const up = new Command(upArgs(name));
  await up.says('Ready in');
  expect((await bimetal('down', '--name', name)).code).toBe(0);
  expect(findRun(name)).toBeUndefined();
  expect((await up.ended).code).toBe(0);
});

test('with --json, up prints one object when it is ready and log records after it', async () => {
  const up = new Command([...upArgs(freshName()), '--json', '--show', 'debug']);
  await up.says('"ready":true');
  const run = JSON.parse(up.stdout.split('\n')[0] ?? '');
  const gateway = run.instances.find(({ service }: { service: string }) => service === 'gateway');
  await fetch(`http://${gateway.addresses.http}/v1/cache/demo/x`);
  await up.says('"path":"/v1/cache/demo/x"');
  up.process.kill('SIGTERM');
  await up.ended;
  for (const line of up.stdout.trim().split('\n')) expect(() => JSON.parse(line)).not.toThrow();
});

describe('exit codes', () => {
  test('USAGE: an unknown command, option or file', async () => {
    expect((await bimetal('fly')).code).toBe(codeOf('USAGE'));
    expect((await bimetal('up', '--fast')).code).toBe(codeOf('USAGE'));
    expect((await bimetal(...upArgs(freshName(), '/does/not/exist'))).code).toBe(codeOf('USAGE'));
    expect((await bimetal('--help')).code).toBe(0);
    expect((await bimetal('orphans', '--no-such-option')).code).toBe(codeOf('USAGE'));
    expect((await bimetal('orphans', '--help')).stdout).toContain('--rounds');
  });

  test('NOT_RUNNING: a command that needs a platform', async () => {
    const named = [['down'], ['status'], ['logs'], ['restart', 'x'], ['get', 'k'], ['call', '--list']];
    for (const command of [
      ...named.map((args) => [...args, '--name', 'no-such-run']),
      ['test', 'behaviour/ttl', '--attach', 'no-such-run'],
    ]) {
      const { code, stdout } = await bimetal(...command, '--json');
      expect([command, code]).toEqual([command, codeOf('NOT_RUNNING')]);
      expect(JSON.parse(stdout).error.code).toBe('NOT_RUNNING');
    }
  }, 30_000);

  test('PORT_TAKEN: another process has a port', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(7402, '127.0.0.1', resolve));
    const args = upArgs(freshName()).map((arg) => (arg === 'free' ? 'fixed' : arg));
    const { code, stderr } = await bimetal(...args);
    server.close();
    expect(code).toBe(codeOf('PORT_TAKEN'));
    expect(stderr).toContain(`taken by pid ${process.pid}`);
  });

  test('UNHEALTHY: a service that ends at start', async () => {
    const change = fakeChangeFile({ cache: { settings: { FAKE_EXIT: '1' } } });
    const { code, stderr } = await bimetal(...upArgs(freshName(), change));
    expect(code).toBe(codeOf('UNHEALTHY'));
    expect(stderr).toContain('this is why I cannot start');
  });

  test('CONTRACT_MISMATCH: a service of another contract with the same revision', async () => {
    const identity = join(temporaryFolder(), 'identity.json');
    const { DIGEST, readDescriptorSet, REVISION } = await import('../../../contract/ts/gen/identity.ts');
    const other = {
      service: 'gateway',
      language: 'go',
      version: '1',
      revision: REVISION,
      digest: DIGEST.replace(/^./, 'x'),
    };
    writeFileSync(identity, JSON.stringify({ ...other, descriptorSet: readDescriptorSet().toString('base64') }));
    const change = fakeChangeFile({ gateway: { settings: { FAKE_CONTRACT: identity } } });
    const { code, stderr } = await bimetal(...upArgs(freshName(), change));
    expect(code).toBe(codeOf('CONTRACT_MISMATCH'));
    expect(stderr).toMatch(/CONTRACT_MISMATCH between .*cache-0.* and gateway-0 \(go/);
  });

  test('BUILD_FAILED: a compiler that fails is shown once, in its own words', async () => {
    const path = fakePrograms({
      go: 'if [ "$1" = version ]; then echo go1.99; else echo "./main.go:3:1: this does not compile" >&2; exit 1; fi',
    });
    const change = fakeChangeFile();
    const { services } = JSON.parse(readFileSync(change, 'utf8'));
    writeFileSync(change, JSON.stringify({ services: { ...services, gateway: {} } }));
    const up = new Command(upArgs(freshName(), change), { PATH: path, GOFLAGS: '-tags=never-built' });
    const { code, stderr } = await up.ended;
    expect(code).toBe(codeOf('BUILD_FAILED'));
    expect(stderr.split('this does not compile')).toHaveLength(2);
  });

  test('NO_ENGINE and TOOLCHAIN_MISSING: each missing thing in a sentence', async () => {
    const nothing = { docker: 'exit 1', go: 'echo go1.20', rustc: 'exit 127' };
    const container = new Command(['up', '--driver', 'container'], { PATH: fakePrograms(nothing) });
    expect((await container.ended).code).toBe(codeOf('NO_ENGINE'));
    const any = new Command(['up'], { PATH: fakePrograms(nothing) });
    const { code, stderr } = await any.ended;
    expect(code).toBe(codeOf('TOOLCHAIN_MISSING'));
    expect(stderr).toMatch(/Go 1\.20 is too old.*Rust 1\.95 or newer is not on this machine.*container engine/s);
    const doctor = new Command(['doctor', '--json'], { PATH: fakePrograms(nothing) });
    expect((await doctor.ended).code).toBe(codeOf('TOOLCHAIN_MISSING'));
  });

  test('STOP_TIMED_OUT: an instance that does not drain is left running, unless forced', async () => {
    const name = freshName();
    const up = new Command(upArgs(name, fakeChangeFile({ cache: { settings: { FAKE_IGNORE_SIGTERM: 'true' } } })));
    await up.says('Ready in');
    const late = await bimetal('stop', 'cache-0', '--timeout', '100', '--name', name);
    expect(late.code).toBe(codeOf('STOP_TIMED_OUT'));
    const forced = await bimetal('stop', 'cache-0', '--timeout', '100', '--force', '--name', name);
    expect(forced.code).toBe(0);
    up.process.kill('SIGTERM');
    await up.ended;
  });

  test('REQUEST_FAILED: the gateway answers with an error', async () => {
    const name = freshName();
    const up = new Command(upArgs(name));
    await up.says('Ready in');
    expect((await bimetal('put', 'teapot', 'x', '--name', name)).code).toBe(codeOf('REQUEST_FAILED'));
    up.process.kill('SIGTERM');
    await up.ended;
  });

  test('INTERRUPTED: a start that was interrupted, and a second signal', async () => {
    const name = freshName();
    const up = new Command(upArgs(name, fakeChangeFile({ gateway: { settings: { FAKE_NEVER_READY: 'true' } } })));
    await up.says('Start cache-0');
    up.process.kill('SIGINT');
    expect((await up.ended).code).toBe(codeOf('INTERRUPTED'));
    expect(findRun(name)).toBeUndefined();
  });

  test('CHECK_FAILED: a test run that finds nothing to run', async () => {
    const { code, stdout } = await bimetal('test', 'no/such/suite');
    expect(code).toBe(codeOf('CHECK_FAILED'));
    expect(stdout.trim().split('\n').at(-1)).toBe('0 passed, 1 failed');
  });
});
