// docker-compose.yml as users run it: by `docker compose` alone, with its own order and health checks.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { composeName, publishedPorts } from '../../model/compose.ts';
import { drivenInstances } from '../../model/instances.ts';
import { platform } from '../../model/platform.ts';
import { Reaper } from '../../process/reaper-client.ts';
import { root } from '../../root.ts';
import { engineLeftovers } from '../../testing/leftovers.ts';

const project = `bimetal-spec-${randomBytes(4).toString('hex')}`;
const instances = drivenInstances(platform);
// Any port of the host in place of the fixed ones.
const ports = instances.flatMap((instance) => publishedPorts(platform, instance));
const env = { ...process.env, ...Object.fromEntries(ports.map(({ variable }) => [variable, '0'])) };

const compose = (...args: string[]): string => {
  const common = ['compose', '--project-name', project, '--progress', 'quiet'];
  return execFileSync('docker', [...common, ...args], { cwd: root, env, encoding: 'utf8' });
};

const reaper = Reaper.start();
beforeAll(() => reaper.addProject(project));
afterAll(() => reaper.close());

test('everything gets healthy, serves at its fixed port, and goes', async () => {
  const services = instances.map(composeName);
  compose('up', '--detach', '--wait', '--no-build', ...services);
  const states = compose('ps', '--format', '{{.Service}} {{.Health}}').trim().split('\n').toSorted();
  expect(states).toEqual(services.map((service) => `${service} healthy`).toSorted());
  const url = `http://${compose('port', 'edge', '8080').trim()}/v1/cache/demo/composed`;
  expect((await fetch(url, { method: 'PUT', body: 'x' })).status).toBe(201);
  expect(await (await fetch(url)).text()).toBe('x');
  compose('down', '--volumes');
  expect(engineLeftovers(project)).toEqual([]);
}, 120_000);
