import { stringify } from 'yaml';
import { type InstanceSpec, instancesOf, serviceOf, startOrder } from './instances.ts';
import { environmentOf } from './settings.ts';
import { topologyOf } from './topology.ts';
import type { PlatformModel, ServiceSpec, Surroundings } from './types.ts';

const header = `# Generated from orchestrator/src/model/platform.ts by \`./bimetal emit compose\`; do not edit.
#   docker compose up --build --wait                  the whole platform
#   docker compose --profile core up --build --wait   without the services of profile "full" (see .env)
# Ports are published on loopback only: nothing here asks for credentials.
`;

/** A node keeps its name for good, so each has a service of its own; a single stateless service has its plain name. */
export const composeName = ({ service, name, spec }: Pick<InstanceSpec, 'service' | 'name' | 'spec'>): string =>
  spec.node || spec.replicas > 1 ? name : service;

/** `BIMETAL_GATEWAY_PORT`, `BIMETAL_GATEWAY_ADMIN_PORT`: the host's side of a published port. */
export const portVariable = (instance: InstanceSpec, port: string): string => {
  const first = Object.keys(instance.spec.ports)[0] === port;
  const words = ['BIMETAL', composeName(instance), ...(first ? [] : [port]), 'PORT'];
  return words.join('_').replaceAll('-', '_').toUpperCase();
};

export const hostPort = ({ spec, index }: InstanceSpec, port: string): number => {
  const found = portOf(spec, port);
  return found.first + index * found.step;
};

const portOf = (spec: ServiceSpec, port: string): ServiceSpec['ports'][string] => {
  const found = spec.ports[port];
  if (!found) throw new Error(`no port ${port} in the model`);
  return found;
};

/** What an instance sees from inside its container. */
const containerSurroundings = (model: PlatformModel, { name, index, spec }: InstanceSpec): Surroundings => {
  const reach = (service: string, port: string, at = 0): string => {
    const peer = instancesOf(model, service)[at];
    if (!peer) throw new Error(`no instance ${at} of ${service} in the model`);
    return `${composeName(peer)}:${portOf(peer.spec, port).first}`;
  };
  return {
    instance: name,
    index,
    listen: (port) => `0.0.0.0:${portOf(spec, port).first}`,
    reach,
    replicas: (service) => serviceOf(model, service).replicas,
    topology: topologyOf(model, reach),
    namespaces: model.namespaces,
  };
};

const environment = (
  model: PlatformModel,
  instance: InstanceSpec,
  extra: Readonly<Record<string, string | undefined>>,
): Record<string, string> => {
  const fixed = environmentOf(instance, containerSurroundings(model, instance), extra);
  const escaped = Object.fromEntries(Object.entries(fixed).map(([key, value]) => [key, value.replaceAll('$', '$$')]));
  return {
    ...escaped,
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
): object => {
  const { spec, service } = instance;
  const needed = spec.needs.flatMap((need) => instancesOf(model, need)).map(composeName);
  return {
    image: `bimetal-${service}:\${BIMETAL_IMAGE_TAG:-dev}`,
    build: { context: '.', dockerfile: spec.image.dockerfile },
    ...(spec.image.command && { command: [...spec.image.command] }),
    ...(spec.profile === 'full' && { profiles: ['full'] }),
    environment: environment(model, instance, extra),
    ports: Object.keys(spec.ports).map(
      (port) =>
        `127.0.0.1:\${${portVariable(instance, port)}:-${hostPort(instance, port)}}:${portOf(spec, port).first}`,
    ),
    ...(needed.length > 0 && {
      depends_on: Object.fromEntries(needed.map((name) => [name, { condition: 'service_healthy' }])),
    }),
    healthcheck: { test: ['CMD', ...spec.image.healthcheck], interval: '1s', timeout: '2s', retries: 30 },
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
