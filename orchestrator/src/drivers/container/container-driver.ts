import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { DockerComposeEnvironment, getContainerRuntimeClient, Wait } from 'testcontainers';
import { imageStep } from '../../build/images.ts';
import { messageOf, OrchestratorError } from '../../errors.ts';
import type { ContractGate } from '../../identity/contract-gate.ts';
import { formatRecord } from '../../logs/format.ts';
import type { LogHub } from '../../logs/hub.ts';
import { composeName, emitCompose, hostPort, portVariable } from '../../model/compose.ts';
import { drivenInstances, type InstanceSpec, instancesOf } from '../../model/instances.ts';
import { topologyOf } from '../../model/topology.ts';
import type { PlatformModel, Topology } from '../../model/types.ts';
import type { Step } from '../../platform/steps.ts';
import { describePortHolder } from '../../process/port-holder.ts';
import { findFreePorts, isPortFree } from '../../process/ports.ts';
import type { Reaper } from '../../process/reaper-client.ts';
import { root, stateFolder } from '../../root.ts';
import type { Driver } from '../driver.ts';
import { ContainerInstance, type OpenLogs } from './container-instance.ts';

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
  readonly instances: readonly ContainerInstance[];
  readonly steps: readonly Step[];
  readonly topology: Topology;
  readonly #options: ContainerDriverOptions;
  readonly #project: string;
  #running: { down: (options: { timeout: number }) => Promise<unknown> } | undefined;
  #ownFile: string | undefined;

  constructor(options: ContainerDriverOptions) {
    this.#options = options;
    this.#project = `bimetal-${options.name}`;
    const openLogs: OpenLogs = async (container, since) =>
      (await getContainerRuntimeClient()).container.logs(container, { since });
    const specs = drivenInstances(options.model);
    this.instances = specs.map((spec) => new ContainerInstance(spec, options.hub, openLogs));
    this.topology = topologyOf(options.model, (service, port, index) => {
      const node = instancesOf(options.model, service)[index];
      if (!node) throw new OrchestratorError('USAGE', `There is no ${service}-${index}.`);
      return `${composeName(node)}:${node.spec.ports[port]?.first}`;
    });
    for (const { service, spec } of specs) {
      if (spec.build.kind === 'prebuilt') {
        throw new OrchestratorError(
          'USAGE',
          `${service} is given as a program of this machine: the container driver runs images only.`,
        );
      }
    }
    this.steps = [
      imageStep(options),
      { title: `Start ${specs.map(({ name }) => name).join(', ')}`, run: () => this.#up() },
    ];
  }

  async #up(): Promise<void> {
    const { reaper, signal, gate } = this.#options;
    signal.throwIfAborted();
    const ports = await this.#choosePorts();
    reaper.addProject(this.#project);
    const environment = new DockerComposeEnvironment(root, this.#composeFile())
      .withProjectName(this.#project)
      // The reaper of the run removes the project, on every machine in the same way.
      .withAutoCleanup(false)
      .withEnvironment(this.#environment(ports))
      .withDefaultWaitStrategy(Wait.forHealthCheck())
      .withStartupTimeout(60_000)
      // Images are built in a step of their own, with progress; nothing is ever pulled under our names.
      .withClientOptions({ commandOptions: ['--no-build', '--pull', 'never', '--quiet-pull'] });
    const started = await this.#followWhile(environment.up(this.instances.map(({ spec }) => composeName(spec))));
    this.#running = started;
    const { container } = await getContainerRuntimeClient();
    await Promise.all(
      this.instances.map((instance) => {
        const { spec } = instance;
        const id = started.getContainer(`${composeName(spec)}-1`).getId();
        const addresses = Object.keys(spec.spec.ports).map((port) => [
          port,
          `127.0.0.1:${ports.get(portVariable(spec, port))}`,
        ]);
        return instance.adopt(container.getById(id), Object.fromEntries(addresses));
      }),
    );
    await gate.admit(this.instances);
  }

  /** Reads the logs from the first moment: a container that does not get healthy is gone with its log afterwards. */
  async #followWhile<Result>(starting: Promise<Result>): Promise<Result> {
    const { container } = await getContainerRuntimeClient();
    const look = async (): Promise<void> => {
      const found = (await container.list()).filter(
        ({ Labels }) => Labels['com.docker.compose.project'] === this.#project,
      );
      for (const { Id, Labels } of found) {
        const instance = this.instances.find(({ spec }) => composeName(spec) === Labels['com.docker.compose.service']);
        await instance?.follow(container.getById(Id));
      }
    };
    const looking = setInterval(() => void look().catch(() => {}), 200);
    try {
      return await starting;
    } catch (error) {
      throw new OrchestratorError('UNHEALTHY', `The containers did not start: ${lastLineOf(messageOf(error))}`, {
        details: this.instances.flatMap((instance) => instance.logs().slice(-5).map(formatRecord)).join('\n'),
        cause: error,
      });
    } finally {
      clearInterval(looking);
    }
  }

  /** Chosen here and not by the engine, which would give others after a restart. */
  async #choosePorts(): Promise<ReadonlyMap<string, number>> {
    const wanted = this.instances.flatMap(({ spec }) => Object.keys(spec.spec.ports).map((port) => ({ spec, port })));
    if (this.#options.ports === 'free') {
      const free = await findFreePorts(wanted.length);
      return new Map(wanted.map(({ spec, port }, i) => [portVariable(spec, port), free[i] ?? 0]));
    }
    for (const { spec, port } of wanted) await requireFree(spec, port);
    return new Map(wanted.map(({ spec, port }) => [portVariable(spec, port), hostPort(spec, port)]));
  }

  #environment(ports: ReadonlyMap<string, number>): Record<string, string> {
    const { token, settings } = this.#options;
    const chosen = Object.entries(settings).flatMap(([key, value]) =>
      value === undefined ? [] : [[`BIMETAL_${key}`, value]],
    );
    return {
      // As in .env, which lies beside the committed file only: `down` leaves services of other profiles alone.
      COMPOSE_PROFILES: 'full',
      ...Object.fromEntries([...ports].map(([variable, port]) => [variable, String(port)])),
      ...Object.fromEntries(chosen),
      BIMETAL_RUN_TOKEN: token,
    };
  }

  /** The committed file, unless this run differs from it by more than a file's variables can say. */
  #composeFile(): string {
    const { isChanged, model, settings, name } = this.#options;
    const { LOG_LEVEL: _, ...others } = settings;
    if (!isChanged && Object.keys(others).length === 0) return 'docker-compose.yml';
    mkdirSync(join(stateFolder, 'runs'), { recursive: true });
    const file = join(stateFolder, 'runs', `${name}.compose.yml`);
    writeFileSync(file, emitCompose(model, others));
    this.#options.reaper.addFile(file);
    this.#ownFile = file;
    return relative(root, file);
  }

  async stop(drainMs: number): Promise<void> {
    const nodes = this.instances.filter(({ spec }) => spec.spec.node);
    const others = this.instances.filter(({ spec }) => !spec.spec.node);
    const deadline = Date.now() + drainMs;
    await Promise.all(others.map((instance) => instance.endWithin(drainMs / 2)));
    await Promise.all(nodes.map((instance) => instance.endWithin(Math.max(0, deadline - Date.now()))));
    // What was not up yet, or cannot be brought down, is left to the reaper, which is closed next.
    const down = await this.#running?.down({ timeout: 0 }).then(
      () => true,
      () => false,
    );
    if (down) this.#options.reaper.removeProject(this.#project);
    if (this.#ownFile) rmSync(this.#ownFile, { force: true });
  }
}

/** Compose tells all of its progress before the reason. */
const lastLineOf = (text: string): string => text.trim().split('\n').at(-1)?.trim() ?? '';

const requireFree = async (spec: InstanceSpec, port: string): Promise<void> => {
  const number = hostPort(spec, port);
  if (await isPortFree(number)) return;
  throw new OrchestratorError(
    'PORT_TAKEN',
    `Port ${number}, which ${spec.name} needs (${port}), is taken by ${describePortHolder(number)}.`,
  );
};
