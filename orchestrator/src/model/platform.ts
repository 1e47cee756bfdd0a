import type { PlatformModel } from './types.ts';

const hostsOf = (instances: readonly { readonly address: string }[]): string[] =>
  instances.map(({ address }) => address.replace(/:\d+$/, ''));

/**
 * The platform. Start order, settings, topology, status page and docker-compose.yml all follow from this file.
 * To add a service of your own, copy `example` (its code is in services/example-ts) and run
 * `./bimetal emit compose`.
 */
export const platform = {
  namespaces: [{ name: 'demo', quotaBytes: String(64 * 1024 * 1024) }],

  services: {
    edge: {
      job: 'the fixed ports: forwards connections to whichever instances there are',
      language: 'go',
      replicas: 1,
      needs: [],
      contract: { provides: ['bimetal.control.v1'], needs: [] },
      ports: { admin: { first: 7790, step: 10 } },
      probe: 'admin',
      edge: true,
      runs: 'instance',
      profile: 'core',
      build: {
        kind: 'go',
        package: './gateway-go/cmd/edge',
        output: 'build/bin/bimetal-edge',
        sources: ['gateway-go', 'contract/go', 'proto', 'go.work', 'go.work.sum'],
      },
      image: {
        dockerfile: 'gateway-go/edge.Dockerfile',
        healthcheck: ['/bimetal-edge', 'healthcheck'],
      },
      memory: '256m',
      settings: (at) => ({
        ADMIN_LISTEN: at.listen('admin'),
        ALLOWED_HOSTS: at.edgeHost,
        ROUTES: JSON.stringify(at.routes),
      }),
    },

    cache: {
      job: 'holds entries: memory limit, expiry, eviction, versions',
      language: 'rust',
      replicas: 2,
      needs: [],
      contract: { provides: ['bimetal.cache.v1', 'bimetal.control.v1'], needs: [] },
      ports: { grpc: { first: 7400, step: 10 }, admin: { first: 7402, step: 10 } },
      probe: 'admin',
      node: { port: 'grpc' },
      runs: 'instance',
      profile: 'core',
      build: {
        kind: 'cargo',
        package: 'bimetal-cache',
        sources: [
          'cache-rust',
          'contract/rust',
          'proto',
          'third_party/proto',
          'Cargo.toml',
          'Cargo.lock',
          'rust-toolchain.toml',
        ],
      },
      image: {
        dockerfile: 'cache-rust/Dockerfile',
        healthcheck: ['/usr/local/bin/bimetal-cache', 'healthcheck'],
      },
      memory: '384m',
      settings: (at) => ({
        GRPC_LISTEN: at.listen('grpc'),
        ADMIN_LISTEN: at.listen('admin'),
        ALLOWED_HOSTS: at.edgeHost && [at.edgeHost, ...hostsOf(at.direct('cache', 'admin'))].join(','),
        MEMORY_LIMIT: '256MiB',
        TOPOLOGY: at.topology && JSON.stringify(at.topology),
        NAMESPACES: JSON.stringify(at.namespaces),
      }),
    },

    gateway: {
      job: 'the public edge: HTTP in, one stream of batches to each node out',
      language: 'go',
      replicas: 1,
      needs: ['cache'],
      contract: { provides: ['bimetal.control.v1'], needs: ['bimetal.cache.v1'] },
      ports: { http: { first: 8080, step: 10 }, admin: { first: 8081, step: 10 } },
      probe: 'admin',
      canary: { port: 'http', path: '/v1/cache/default/bimetal-canary' },
      runs: 'instance',
      profile: 'core',
      build: {
        kind: 'go',
        package: './gateway-go/cmd/gateway',
        output: 'build/bin/bimetal-gateway',
        sources: ['gateway-go', 'contract/go', 'proto', 'go.work', 'go.work.sum'],
      },
      image: {
        dockerfile: 'gateway-go/Dockerfile',
        healthcheck: ['/bimetal-gateway', 'healthcheck'],
      },
      memory: '256m',
      settings: (at) => ({
        LISTEN: at.listen('http'),
        PASSED_LISTEN: at.passedListen('http'),
        ADMIN_LISTEN: at.listen('admin'),
        // By the edge's name callers come, by its own the status page.
        ALLOWED_HOSTS: at.edgeHost && [at.edgeHost, ...hostsOf(at.direct('gateway', 'admin'))].join(','),
        TOPOLOGY: at.topology && JSON.stringify(at.topology),
      }),
    },

    example: {
      job: 'an example of your own service: a look-up cached aside by HTTP, a counter by gRPC',
      language: 'typescript',
      replicas: 1,
      needs: ['edge', 'gateway', 'cache'],
      contract: { provides: [], needs: ['bimetal.cache.v1'] },
      ports: { http: { first: 8090, step: 10 } },
      probe: 'http',
      canary: { port: 'http', path: '/readyz' },
      runs: 'instance',
      profile: 'full',
      build: {
        kind: 'node',
        entry: 'services/example-ts/src/main.ts',
        sources: ['services/example-ts', 'contract/ts'],
      },
      image: {
        dockerfile: 'orchestrator/Dockerfile',
        command: ['services/example-ts/src/main.ts'],
        healthcheck: ['node', 'orchestrator/src/cli/healthcheck.ts', 'http://127.0.0.1:8090/readyz'],
      },
      memory: '192m',
      settings: (at) => ({
        LISTEN: at.listen('http'),
        GATEWAY_URL: `http://${at.reach('gateway', 'http')}`,
        TOPOLOGY: at.fixedTopology && JSON.stringify(at.fixedTopology),
      }),
    },

    dashboard: {
      job: 'the status page; `up` serves it itself',
      language: 'typescript',
      replicas: 1,
      needs: ['gateway', 'cache'],
      contract: { provides: [], needs: [] },
      ports: { http: { first: 7700, step: 10 } },
      probe: 'http',
      runs: 'orchestrator',
      profile: 'full',
      build: { kind: 'node', entry: 'orchestrator/src/cli/main.ts', sources: ['orchestrator', 'contract/ts'] },
      image: {
        dockerfile: 'orchestrator/Dockerfile',
        command: ['orchestrator/src/cli/main.ts', 'observe'],
        healthcheck: ['node', 'orchestrator/src/cli/healthcheck.ts', 'http://127.0.0.1:7700/readyz'],
      },
      memory: '192m',
      settings: (at) => ({
        LISTEN: at.listen('http'),
        OBSERVE: ['edge', 'gateway', 'cache']
          .flatMap((service) => at.direct(service, 'admin').map(({ name, address }) => `${name}=http://${address}`))
          .join(','),
      }),
    },
  },
} as const satisfies PlatformModel;
