// `./bimetal load` as a person calls it, against a cache of our own.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bimetal, Command } from '../testing/cli.ts';
import { temporaryFolder } from '../testing/temporary-folder.ts';
import { FakeCache, problem } from './fake-cache.ts';

const briefly = ['--rate', '300', '--seconds', '0.7', '--keys', '50'];

test('a clean load says so, exits 0 and leaves a report and a plot', async () => {
  await using cache = await FakeCache.start();
  const out = temporaryFolder();
  const { code, stdout } = await bimetal('load', '--url', cache.url, '--out', out, ...briefly);
  expect([code, stdout]).toEqual([0, stdout]);
  expect(stdout).toMatch(/requests +210 in/);
  expect(stdout).toContain('every request was answered, every answer is right');
  const [json = '', svg = ''] = readdirSync(out).toSorted();
  expect(JSON.parse(readFileSync(join(out, json), 'utf8'))).toMatchObject({ sent: 210, failed: { total: 0 } });
  expect(readFileSync(join(out, svg), 'utf8')).toMatch(/^<svg/);
});

test('failures are counted by reason, and the exit code tells of them', async () => {
  await using cache = await FakeCache.start(({ method, number, response }) => {
    if (method !== 'GET' || number !== 5) return false;
    problem(503, 'DRAINING')(response);
    return true;
  });
  cache.armed = true;
  const { code, stdout } = await bimetal('load', '--url', cache.url, '--out', temporaryFolder(), '--json', ...briefly);
  expect(code).toBe(15);
  expect(JSON.parse(stdout)).toMatchObject({ failed: { total: 1, byReason: { '503 DRAINING': 1 } } });
});

test('an interrupt ends the load, which reports all the same', async () => {
  await using cache = await FakeCache.start();
  const command = new Command([
    'load',
    '--url',
    cache.url,
    '--out',
    temporaryFolder(),
    '--rate',
    '300',
    '--keys',
    '50',
  ]);
  await command.says('in flight');
  command.process.kill('SIGINT');
  const { code, stdout } = await command.ended;
  expect([code, stdout]).toEqual([0, expect.stringContaining('every answer is right')]);
});

test.each([
  [['--mix', 'reads=1'], 'read, write, cas and increment'],
  [['--url', 'localhost:8080'], 'http://HOST:PORT'],
  [['--rate', '0'], 'at least 1'],
  [['--size', '9000000'], 'at most 8388608 bytes'],
  [['--url', 'http://127.0.0.1:1', '--name', 'x', '--mix', 'read=0'], 'weight above 0'],
])('load %j is refused with what would be right', async (args, sentence) => {
  const { code, stderr } = await bimetal('load', '--url', 'http://127.0.0.1:1', ...args);
  expect([code, stderr]).toEqual([2, expect.stringContaining(sentence)]);
});

test('without a platform it says what to start', async () => {
  const { code, stderr } = await bimetal('load', '--name', 'nobody-started-this');
  expect([code, stderr]).toEqual([9, expect.stringContaining('nobody-started-this')]);
});
