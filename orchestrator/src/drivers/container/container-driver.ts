import { execFile } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { DockerComposeEnvironment, getContainerRuntimeClient, Wait } from 'testcontainers';
import { imageStep } from '../../build/images.ts';
import { messageOf, OrchestratorError } from '../../errors.ts';
import type { ContractGate } from '../../identity/contract-gate.ts';
import { formatRecord } from '../../logs/format.ts';
import type { LogHub } from '../../logs/hub.ts';
import {
  composeName,
  composeTopology,
  emitCompose,
  emitGeneration,
  emitWithoutHealthchecks,
  innerAddresses,
  ownPortVariable,
  publishedPorts,
  routePorts,
} from '../../model/compose.ts';
import { type InstanceSpec, serviceOf } from '../../model/instances.ts';
import type { PlatformModel } from '../../model/types.ts';
import type { Report, Step } from '../../platform/steps.ts';
import { Wiring } from '../../platform/wiring.ts';
import { describePortHolder } from '../../process/port-holder.ts';
import { findFreePorts, isPortFree } from '../../process/ports.ts';
import type { Reaper } from '../../process/reaper-client.ts';
import { root, stateFolder } from '../../root.ts';
import type { Driver } from '../driver.ts';
import { Fleet } from '../fleet.ts';
import type { HeldBuild, LaunchChange } from '../generation.ts';
import type { Launched, OpenLogs } from './container-generation.ts';
import { ContainerInstance } from './container-instance.ts';

export interface ContainerDriverOptions {
  /** Of the run; its compose project is `bimetal-NAME`. */
  readonly name: string;
  readonly model: PlatformModel;
  /** The model is not the committed one: a compose file of its own is written for it. */
  readonly isChanged: boolean;
  readonly hub: LogHub;
  readonly reaper: Reaper;
  readonly gate: ContractGate;
  readonly token: string;
  readonly ports: 'fixed' | 'free';
  readonly signal: AbortSignal;
  readonly settings: Readonly<Record<string, string | undefined>>;
}

/** Runs docker-compose.yml, the file that users run, as a project of its own. */
export class ContainerDriver implements Driver {
  readonly kind = 'container';
  readonly fleet: Fleet<ContainerInstance>;
  readonly steps: readonly Step[];
  readonly wiring: Wiring;
  readonly #options: ContainerDriverOptions;
  readonly #project: string;
  readonly #ports = new Map<string, number>();
  /** From which each service is started. */
  readonly #images = new Map<string, string>();
  readonly #ownFiles = new Set<string>();

  constructor(options: ContainerDriverOptions) {
    this.#options = options;
    this.#project = `bimetal-${options.name}`;
    this.fleet = new Fleet(options.model, (spec) => this.#makeInstance(spec));
    this.wiring = new Wiring({
      fleet: this.fleet,
      edgeListen: (fixedPort) => `0.0.0.0:${fixedPort}`,
      reachEdge: (route) => {
        const found = routePorts(this.fleet.model).find((port) => port.route === route);
        const hostPort = found && this.#ports.get(found.variable);
        return hostPort === undefined ? undefined : `127.0.0.1:${hostPort}`;
      },
      token: options.token,
      hub: options.hub,
    });
    this.wiring.assume(composeTopology(options.model));
    for (const { service, spec } of this.fleet.instances) {
      if (spec.spec.build.kind === 'prebuilt') {
        throw new OrchestratorError(
          'USAGE',
          `${service} is given as a program of this machine: the container driver runs images only.`,
        );
      }
    }
    this.steps = [
      imageStep(options),
      { title: `Start ${this.fleet.instances.map(({ name }) => name).join(', ')}`, run: () => this.#up() },
    ];
  }

  #makeInstance(spec: InstanceSpec): ContainerInstance {
    const openLogs: OpenLogs = async (container, since) =>
      (await getContainerRuntimeClient()).container.logs(container, { since });
    const firstChange = (): LaunchChange =>
      this.fleet.changeOf(spec.service) ?? {
        build: { kind: 'image', image: this.#images.get(spec.service) ?? '' },
        settings: {},
      };
    return new ContainerInstance(spec, this.#options.hub, openLogs, firstChange, (instance, number, change) =>
      this.#launch(instance, number, change),
    );
  }

  async #up(): Promise<void> {
    const { reaper, signal, gate } = this.#options;
    signal.throwIfAborted();
    reaper.addProject(this.#project);
    await this.#choosePorts();
    for (const { service } of this.fleet.instances) this.#images.set(service, await currentImage(service));
    const { container } = await getContainerRuntimeClient();
    // Once aborted, the reaper has looked for containers for the last time: none is to be made any more.
    signal.throwIfAborted();
    const unwatched = this.#writeFile('unwatched.yml', emitWithoutHealthchecks(this.fleet.model));
    const environment = new DockerComposeEnvironment(root, [this.#composeFile(), relative(root, unwatched)])
      .withProjectName(this.#project)
      // The reaper of the run removes the project, on every machine in the same way.
      .withAutoCleanup(false)
      .withEnvironment(this.#environment())
      // Whether they are ready is asked below, as for every later container.
      .withDefaultWaitStrategy(Wait.forAll([]))
      // Images are built in a step of their own, with progress; nothing is ever pulled under our names.
      .withClientOptions({ commandOptions: ['--no-build', '--pull', 'never', '--quiet-pull'] });
    await this.#followWhile(async () => {
      const started = await environment.up(this.fleet.instances.map(({ spec }) => composeName(spec)));
      signal.throwIfAborted();
      const taken = this.fleet.instances.map((instance) => {
        const { spec } = instance;
        const id = started.getContainer(`${composeName(spec)}-1`).getId();
        const ports = publishedPorts(this.fleet.model, spec);
        const addresses = Object.keys(spec.spec.ports).map((port, i) => [
          port,
          `127.0.0.1:${this.#ports.get(ports[i]?.variable ?? '')}`,
        ]);
        return instance.take({
          container: container.getById(id),
          addresses: Object.fromEntries(addresses),
          innerAddresses: innerAddresses(spec),
        });
      });
      await Promise.all(taken);
    });
    await gate.admit(this.fleet.instances);
  }

  /** Reads the logs from the first moment: a container that does not get ready is gone with its log afterwards. */
  async #followWhile(start: () => Promise<void>): Promise<void> {
    const { container } = await getContainerRuntimeClient();
    const look = async (): Promise<void> => {
      const found = (await container.list()).filter(
        ({ Labels }) => Labels['com.docker.compose.project'] === this.#project,
      );
      for (const { Id, Labels } of found) {
        const instance = this.fleet.instances.find(
          ({ spec }) => composeName(spec) === Labels['com.docker.compose.service'],
        );
        await instance?.follow(container.getById(Id));
      }
    };
    const looking = setInterval(() => void look().catch(() => {}), 200);
    try {
      await start();
    } catch (error) {
      throw new OrchestratorError('UNHEALTHY', `The containers did not start: ${lastLineOf(messageOf(error))}`, {
        details: this.fleet.instances.flatMap((instance) => instance.logs().slice(-5).map(formatRecord)).join('\n'),
        cause: error,
      });
    } finally {
      clearInterval(looking);
    }
  }

  /** Chosen here and not by the engine, which would give others after a restart. */
  async #choosePorts(): Promise<void> {
    const wanted = this.fleet.instances.flatMap(({ spec }) =>
      publishedPorts(this.fleet.model, spec).map((port) => ({ spec, port })),
    );
    const isAny = ({ port }: (typeof wanted)[number]): boolean => this.#options.ports === 'free' || port.hostPort === 0;
    const free = await findFreePorts(wanted.filter(isAny).length);
    for (const one of wanted) {
      if (!isAny(one)) await requireFree(one.spec, one.port.hostPort);
      this.#ports.set(one.port.variable, isAny(one) ? (free.pop() ?? 0) : one.port.hostPort);
    }
  }

  #environment(): Record<string, string> {
    const { token, settings } = this.#options;
    const chosen = Object.entries(settings).flatMap(([key, value]) =>
      value === undefined ? [] : [[`BIMETAL_${key}`, value]],
    );
    return {
      // As in .env, which lies beside the committed file only: `down` leaves services of other profiles alone.
      COMPOSE_PROFILES: 'full',
      ...Object.fromEntries([...this.#ports].map(([variable, port]) => [variable, String(port)])),
      ...Object.fromEntries(chosen),
      BIMETAL_RUN_TOKEN: token,
    };
  }

  /** The committed file, unless this run differs from it by more than a file's variables can say. */
  #composeFile(): string {
    const { isChanged, model, settings } = this.#options;
    const { LOG_LEVEL: _, ...others } = settings;
    if (!isChanged && Object.keys(others).length === 0) return 'docker-compose.yml';
    return relative(root, this.#writeFile('compose.yml', emitCompose(model, others)));
  }

  #writeFile(what: string, text: string): string {
    const file = join(stateFolder, 'runs', `${this.#options.name}.${what}`);
    mkdirSync(join(stateFolder, 'runs'), { recursive: true });
    writeFileSync(file, text, { mode: 0o600 });
    this.#options.reaper.addFile(file);
    this.#ownFiles.add(file);
    return file;
  }

  /** One more container of an instance in the same project, beside or in place of another. */
  async #launch({ spec, name }: ContainerInstance, number: number, change: LaunchChange): Promise<Launched> {
    if (change.build?.kind !== 'image') throw new Error(`${name} has no image`);
    const compose = `${composeName(spec)}-g${number}`;
    const names = Object.keys(spec.spec.ports);
    const hostPorts: Record<string, number> = {};
    for (const port of names) {
      const variable = `${ownPortVariable(spec, port)}_G${number}`;
      const chosen = this.#ports.get(variable) ?? (await findFreePorts(1))[0] ?? 0;
      this.#ports.set(variable, chosen);
      hostPorts[port] = chosen;
    }
    const file = this.#writeFile(
      `${compose}.yml`,
      emitGeneration(this.fleet.model, spec, {
        composeName: compose,
        image: change.build.image,
        settings: { ...this.#options.settings, ...change.settings, ...change.once },
        token: this.#options.token,
        topology: this.wiring.topology,
        hostPorts,
      }),
    );
    const up = ['up', '--detach', '--no-build', '--no-deps', '--pull', 'never', '--force-recreate', compose];
    await runDocker(['compose', '--project-name', this.#project, '--file', file, ...up]);
    const { container } = await getContainerRuntimeClient();
    // By its id: a name may be another container's later.
    const { Id } = await container.getById(`${this.#project}-${compose}-1`).inspect();
    return {
      container: container.getById(Id),
      addresses: Object.fromEntries(names.map((port) => [port, `127.0.0.1:${hostPorts[port]}`])),
      innerAddresses: innerAddresses(spec, compose),
    };
  }

  async build(service: string, signal: AbortSignal, report: Report): Promise<HeldBuild> {
    const model = { ...this.fleet.model, services: { [service]: serviceOf(this.fleet.model, service) } };
    await imageStep({ ...this.#options, model, signal }).run(report);
    return { build: { kind: 'image', image: await currentImage(service) }, [Symbol.dispose]: () => {} };
  }

  /** Images are the engine's to keep, as every other that was built: `docker image prune`. */
  prune(): void {}

  /** The reaper, which is closed next, removes the containers and the network: the same way however a run ends. */
  async stop(drainMs: number): Promise<void> {
    await this.fleet.end(drainMs);
    for (const file of this.#ownFiles) rmSync(file, { force: true });
  }
}

/** Compose tells all of its progress before the reason. */
const lastLineOf = (text: string): string => text.trim().split('\n').at(-1)?.trim() ?? '';

const requireFree = async (spec: InstanceSpec, number: number): Promise<void> => {
  if (await isPortFree(number)) return;
  throw new OrchestratorError(
    'PORT_TAKEN',
    `Port ${number}, which ${spec.name} needs, is taken by ${describePortHolder(number)}.`,
  );
};

/** The id of the image that is under the tag now: it stays when the tag moves on. */
const currentImage = async (service: string): Promise<string> => {
  const tag = `bimetal-${service}:${process.env['BIMETAL_IMAGE_TAG'] ?? 'dev'}`;
  return (await runDocker(['image', 'inspect', '--format', '{{.Id}}', tag])).trim();
};

const runDocker = async (args: readonly string[]): Promise<string> => {
  try {
    return (await promisify(execFile)('docker', args, { cwd: root, timeout: 60_000 })).stdout;
  } catch (error) {
    throw new OrchestratorError('UNHEALTHY', `docker ${args[0]} did not work: ${lastLineOf(messageOf(error))}`, {
      cause: error,
    });
  }
};
