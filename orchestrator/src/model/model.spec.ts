import { parse } from 'yaml';
import { emitCompose } from './compose.ts';
import { customise } from './customise.ts';
import { drivenInstances, startOrder } from './instances.ts';
import { platform } from './platform.ts';
import type { PlatformModel } from './types.ts';

const model: PlatformModel = platform;

test('services start after those that they need', () => {
  expect(startOrder(model)).toEqual([['edge', 'cache'], ['gateway'], ['example', 'dashboard']]);
});

test('services that need each other in a circle are refused by name', () => {
  const circle = {
    ...model,
    services: { a: { ...platform.services.cache, needs: ['b'] }, b: { ...platform.services.cache, needs: ['a'] } },
  };
  expect(() => startOrder(circle)).toThrow('The services a, b need each other in a circle.');
});

test('the status page is not started as an instance', () => {
  expect(drivenInstances(model).map(({ name }) => name)).toEqual([
    'edge-0',
    'cache-0',
    'cache-1',
    'gateway-0',
    'example-0',
  ]);
});

test('an unknown service in a change is refused', () => {
  expect(() => customise(model, { services: { cash: {} } })).toThrow('The model has no service cash.');
});

describe('the compose file', () => {
  const compose = parse(emitCompose(model));

  test('has every instance, and only the core without a profile', () => {
    expect(Object.keys(compose.services)).toEqual(['edge', 'cache-0', 'cache-1', 'gateway', 'example', 'dashboard']);
    const full = Object.entries<{ profiles?: string[] }>(compose.services).filter(([, { profiles }]) => profiles);
    expect(full.map(([name, { profiles }]) => [name, profiles])).toEqual([
      ['example', ['full']],
      ['dashboard', ['full']],
    ]);
  });

  test('publishes on loopback only, each port changeable by a variable', () => {
    expect(compose.services.edge.ports).toEqual([
      '127.0.0.1:${BIMETAL_EDGE_PORT:-7790}:7790',
      '127.0.0.1:${BIMETAL_CACHE_0_PORT:-7400}:7400',
      '127.0.0.1:${BIMETAL_CACHE_0_ADMIN_PORT:-7402}:7402',
      '127.0.0.1:${BIMETAL_CACHE_1_PORT:-7410}:7410',
      '127.0.0.1:${BIMETAL_CACHE_1_ADMIN_PORT:-7412}:7412',
      '127.0.0.1:${BIMETAL_GATEWAY_PORT:-8080}:8080',
      '127.0.0.1:${BIMETAL_GATEWAY_ADMIN_PORT:-8081}:8081',
      '127.0.0.1:${BIMETAL_EXAMPLE_PORT:-8090}:8090',
    ]);
  });

  test('publishes every instance beside that, at any port, for whoever must tell them apart', () => {
    expect(compose.services['cache-1'].ports[0]).toBe('127.0.0.1:${BIMETAL_INSTANCE_CACHE_1_GRPC_PORT:-0}:7400');
  });

  test('leads from every fixed port to the instances behind it', () => {
    const routes: { name: string }[] = JSON.parse(compose.services.edge.environment.BIMETAL_ROUTES);
    expect(routes).toContainEqual({ name: 'gateway.http', listen: '0.0.0.0:8080', targets: ['gateway:8080'] });
    expect(routes).toContainEqual({ name: 'cache-1.grpc', listen: '0.0.0.0:7410', targets: ['cache-1:7400'] });
  });

  test('takes every right away that a service does not need', () => {
    for (const service of Object.values(compose.services)) {
      expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
    }
  });

  test('gives the gateway the topology with the names of the nodes', () => {
    expect(JSON.parse(compose.services.gateway.environment.BIMETAL_TOPOLOGY).nodes).toEqual([
      { name: 'cache-0', tag: 1, address: 'cache-0:7400' },
      { name: 'cache-1', tag: 2, address: 'cache-1:7400' },
    ]);
  });

  test('follows a change of the model', () => {
    const changed = parse(
      emitCompose(customise(model, { services: { cache: { replicas: 3, settings: { MEMORY_LIMIT: '16MiB' } } } })),
    );
    expect(changed.services['cache-2'].environment.BIMETAL_MEMORY_LIMIT).toBe('16MiB');
  });
});
