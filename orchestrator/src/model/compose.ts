import { stringify } from 'yaml';
import { drivenInstances, type InstanceSpec, instancesOf, serviceOf, startOrder } from './instances.ts';
import { fixedPortOf, isBehindEdge, portOf, routesOf } from './routes.ts';
import { environmentOf } from './settings.ts';
import { type Addressing, surroundingsOf } from './surroundings.ts';
import { topologyOf } from './topology.ts';
import type { PlatformModel, ServiceSpec, Topology } from './types.ts';

const header = `# Generated from orchestrator/src/model/platform.ts by \`./bimetal emit compose\`; do not edit.
#   docker compose up --build --wait                  the whole platform
#   docker compose --profile core up --build --wait   without the services of profile "full" (see .env)
# Ports are published on loopback only: nothing here asks for credentials.
`;

/** A node keeps its name for good; of a stateless service the first replica has the plain name. */
export const composeName = ({ service, name, index, spec }: InstanceSpec): string =>
  spec.node || index > 0 ? name : service;

const variable = (...words: readonly string[]): string =>
  ['BIMETAL', ...words, 'PORT'].join('_').replaceAll(/[-.]/g, '_').toUpperCase();

/** `BIMETAL_GATEWAY_PORT`, `BIMETAL_GATEWAY_ADMIN_PORT`, `BIMETAL_CACHE_0_PORT`: the host's side of a fixed port. */
export const fixedPortVariable = (owner: string, spec: ServiceSpec, port: string): string =>
  Object.keys(spec.ports)[0] === port ? variable(owner) : variable(owner, port);

/** `BIMETAL_INSTANCE_GATEWAY_0_HTTP_PORT`: the host's side of an instance's own port, any by default. */
export const ownPortVariable = ({ name }: InstanceSpec, port: string): string => variable('INSTANCE', name, port);

/** HOST:PORT of an instance for the other containers; `host` is its container's name in the project. */
const innerAddress = (instance: InstanceSpec, port: string, host = composeName(instance)): string =>
  `${host}:${portOf(instance.spec, port).first}`;

/** All of them by the model's port names. */
export const innerAddresses = (instance: InstanceSpec, host?: string): Record<string, string> =>
  Object.fromEntries(Object.keys(instance.spec.ports).map((port) => [port, innerAddress(instance, port, host)]));

/** What every container of the compose file is given. */
export const composeTopology = (model: PlatformModel): Topology =>
  topologyOf(model, (node, port) => innerAddress(node, port));

const containerAddressing: Addressing = {
  listen: ({ spec }, port) => `0.0.0.0:${portOf(spec, port).first}`,
  direct: (instance, port) => innerAddress(instance, port),
  edgeHost: 'edge',
  edgeListen: (fixedPort) => `0.0.0.0:${fixedPort}`,
  fixed: (_, fixedPort) => `edge:${fixedPort}`,
};

/** A port of a container that the host can reach, and which variable says where. */
export interface PublishedPort {
  readonly variable: string;
  readonly containerPort: number;
  /** 0: any. */
  readonly hostPort: number;
}

/** The fixed ports are published by the edge; instances publish theirs beside them, for whoever must tell them apart. */
export const publishedPorts = (model: PlatformModel, instance: InstanceSpec): PublishedPort[] => {
  const { spec, service } = instance;
  const own = Object.keys(spec.ports).map((port) => {
    const containerPort = portOf(spec, port).first;
    return isBehindEdge(spec)
      ? { variable: ownPortVariable(instance, port), containerPort, hostPort: 0 }
      : { variable: fixedPortVariable(service, spec, port), containerPort, hostPort: fixedPortOf(instance, port) };
  });
  return spec.edge ? [...own, ...routePorts(model)] : own;
};

export const routePorts = (model: PlatformModel): (PublishedPort & { readonly route: string })[] =>
  routesOf(model).map(({ name, service, port, fixedPort }) => ({
    route: name,
    variable: fixedPortVariable(name.slice(0, -port.length - 1), serviceOf(model, service), port),
    containerPort: fixedPort,
    hostPort: fixedPort,
  }));

/** Compose puts variables in place of `$NAME`. */
const escaped = (environment: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(environment).map(([key, value]) => [key, value.replaceAll('$', '$$$$')]));

const environment = (
  model: PlatformModel,
  instance: InstanceSpec,
  extra: Readonly<Record<string, string | undefined>>,
): Record<string, string> => {
  const at = surroundingsOf(model, instance, containerAddressing, composeTopology(model));
  const fixed = environmentOf(instance, at, extra);
  return {
    ...escaped(fixed),
    // The orchestrator makes a secret for each run. A plain `docker compose up` has none to give, and relies on
    // the ports being published on loopback only.
    BIMETAL_RUN_TOKEN: '$'.concat('{BIMETAL_RUN_TOKEN:-compose-on-loopback}'),
    BIMETAL_LOG_FORMAT: 'json',
    BIMETAL_LOG_LEVEL: '$'.concat('{BIMETAL_LOG_LEVEL:-info}'),
  };
};

const composeService = (
  model: PlatformModel,
  instance: InstanceSpec,
  extra: Readonly<Record<string, string | undefined>>,
): Record<string, unknown> => {
  const { spec, service } = instance;
  const needed = spec.needs.flatMap((need) => instancesOf(model, need)).map(composeName);
  return {
    image: `bimetal-${service}:\${BIMETAL_IMAGE_TAG:-dev}`,
    build: { context: '.', dockerfile: spec.image.dockerfile },
    ...(spec.image.command && { command: [...spec.image.command] }),
    ...(spec.profile === 'full' && { profiles: ['full'] }),
    environment: environment(model, instance, extra),
    ports: publishedPorts(model, instance).map(
      ({ variable: name, hostPort, containerPort }) => `127.0.0.1:\${${name}:-${hostPort}}:${containerPort}`,
    ),
    // Order alone: each waits for the others by itself, and nobody has to wait for a health check in between.
    ...(needed.length > 0 && { depends_on: needed }),
    // A process in the container each time: six of them each second would take half a core.
    healthcheck: {
      test: ['CMD', ...spec.image.healthcheck],
      interval: '5s',
      timeout: '2s',
      start_period: '30s',
      retries: 3,
    },
    read_only: true,
    cap_drop: ['ALL'],
    security_opt: ['no-new-privileges:true'],
    mem_limit: spec.memory,
    // The longest drain of a service, with a margin.
    stop_grace_period: '15s',
  };
};

/** docker-compose.yml for the model; `extra` are settings for every service, without the BIMETAL_ prefix. */
export const emitCompose = (model: PlatformModel, extra: Readonly<Record<string, string | undefined>> = {}): string => {
  const instances = startOrder(model)
    .flat()
    .flatMap((service) => instancesOf(model, service));
  const document = {
    name: 'bimetal',
    services: Object.fromEntries(
      instances.map((instance) => [composeName(instance), composeService(model, instance, extra)]),
    ),
  };
  return `${header}${stringify(document, { lineWidth: 0, aliasDuplicateObjects: false })}`;
};

const noHealthcheck = { disable: true };

/** What the orchestrator lays over a compose file: it asks for readiness by itself, and more often. */
export const emitWithoutHealthchecks = (model: PlatformModel): string => {
  const services = drivenInstances(model).map((one) => [composeName(one), { healthcheck: noHealthcheck }]);
  return stringify({ services: Object.fromEntries(services) }, { aliasDuplicateObjects: false });
};

export interface GenerationOptions {
  /** Of the generation's container; its own, so that both are there while one takes the place of the other. */
  readonly composeName: string;
  readonly image: string;
  /** Without the BIMETAL_ prefix, on top of the model's. */
  readonly settings: Readonly<Record<string, string | undefined>>;
  readonly token: string;
  readonly topology: Topology;
  /** The host's ports by the model's port names. */
  readonly hostPorts: Readonly<Record<string, number>>;
}

/** A compose file with one container of an instance, for `docker compose up` beside the project's others. */
export const emitGeneration = (
  model: PlatformModel,
  instance: InstanceSpec,
  { composeName: name, image, settings, token, topology, hostPorts }: GenerationOptions,
): string => {
  const { build: _build, profiles: _profiles, depends_on: _needs, ...service } = composeService(model, instance, {});
  const at = surroundingsOf(model, instance, containerAddressing, topology);
  const fixed = environmentOf(instance, at, { RUN_TOKEN: token, LOG_FORMAT: 'json', ...settings });
  const ports = Object.entries(hostPorts).map(
    ([port, hostPort]) => `127.0.0.1:${hostPort}:${portOf(instance.spec, port).first}`,
  );
  return stringify({
    services: { [name]: { ...service, image, environment: escaped(fixed), ports, healthcheck: noHealthcheck } },
  });
};
