import { randomBytes } from 'node:crypto';
import type { Driver, DriverKind } from '../drivers/driver.ts';
import { ContractGate } from '../identity/contract-gate.ts';
import { formatRecord } from '../logs/format.ts';
import { LogHub } from '../logs/hub.ts';
import { customise, type ModelChange } from '../model/customise.ts';
import { platform as platformModel } from '../model/platform.ts';
import type { PlatformModel } from '../model/types.ts';
import { Reaper } from '../process/reaper-client.ts';
import { claimRun, runFilePath } from '../run/run-file.ts';
import { tryFirstRequests } from './first-request.ts';
import { Platform } from './platform.ts';
import { runQuietly, type Step, type StepRunner } from './steps.ts';

export interface StartOptions {
  /** Names the run, its containers and its file; one platform of a name runs at a time. Default: `default`. */
  readonly name?: string;
  /** Default: `process`. */
  readonly driver?: DriverKind;
  /** `fixed`: those of the model; `free`: any. */
  readonly ports?: 'fixed' | 'free';
  /** What is different from orchestrator/src/model/platform.ts. */
  readonly model?: ModelChange;
  /** Optimised builds of the native services. */
  readonly release?: boolean;
  /** Settings for every instance, without the BIMETAL_ prefix. */
  readonly settings?: Readonly<Record<string, string | undefined>>;
  /** Nodes keep their entries here, in a folder each, when they are drained, and load them when they start. Processes only. */
  readonly dataFolder?: string;
  /** Without it, log lines are written to standard error. */
  readonly quiet?: boolean;
  readonly hub?: LogHub;
  readonly runSteps?: StepRunner;
  /** Gives the start up; everything that was started is ended. */
  readonly signal?: AbortSignal;
}

/**
 * Builds what changed, starts every instance of the model in order, checks that their contracts fit together, and
 * sends real requests. A start that fails leaves nothing behind.
 */
export const startPlatform = async (options: StartOptions = {}): Promise<Platform> => {
  const { name = 'default', driver: kind = 'process', hub = new LogHub(), runSteps = runQuietly } = options;
  const signal = options.signal ?? new AbortController().signal;
  if (options.quiet === false) hub.subscribe((record) => process.stderr.write(`${formatRecord(record)}\n`));

  const model = customise(platformModel, options.model ?? {});
  const [token, runToken] = [secret(), secret()];
  const reaper = Reaper.start();
  try {
    const run = await claimRun({ name, driver: kind, token, runToken });
    reaper.addFile(runFilePath(name));
    const gate = new ContractGate();
    const driver = await createDriver(kind, { options, name, model, hub, reaper, gate, runToken, signal });
    const platform = new Platform({ name, driver, hub, reaper, run, gate, token, runToken });
    try {
      await unlessAborted(signal, runSteps([...driver.steps, firstRequests(driver, signal)]));
      platform.describe();
      return platform;
    } catch (error) {
      await platform.stop(0);
      throw signal.aborted ? signal.reason : error;
    }
  } catch (error) {
    await reaper.close();
    throw error;
  }
};

/** A step that waits for something of the outside is not waited for: what it waits for is ended next. */
const unlessAborted = async (signal: AbortSignal, work: Promise<void>): Promise<void> => {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
    work.catch(() => {});
  }
};

const secret = (): string => randomBytes(24).toString('base64url');

interface DriverNeeds {
  readonly options: StartOptions;
  readonly name: string;
  readonly model: PlatformModel;
  readonly hub: LogHub;
  readonly reaper: Reaper;
  readonly gate: ContractGate;
  readonly runToken: string;
  readonly signal: AbortSignal;
}

/** Each driver is loaded only when it is asked for: the container driver brings Testcontainers with it. */
const createDriver = async (kind: DriverKind, needs: DriverNeeds): Promise<Driver> => {
  const { options, name, model, hub, reaper, gate, runToken, signal } = needs;
  const { ports = 'fixed', release = false, settings = {} } = options;
  const common = { name, model, hub, reaper, gate, token: runToken, ports, settings, signal };
  if (kind === 'process') {
    const { ProcessDriver } = await import('../drivers/process/process-driver.ts');
    const { dataFolder } = options;
    return new ProcessDriver({ ...common, release, ...(dataFolder !== undefined && { dataFolder }) });
  }
  const { ContainerDriver } = await import('../drivers/container/container-driver.ts');
  return new ContainerDriver({ ...common, name, isChanged: options.model !== undefined });
};

/** Ready means that real requests went through, whoever started the platform. */
const firstRequests = (driver: Driver, signal: AbortSignal): Step => ({
  title: 'Send the first requests',
  run: async () => {
    const gateways = driver.fleet.of('gateway');
    await Promise.all(gateways.map((gateway) => tryFirstRequests(gateway.url('http'), driver.wiring.topology, signal)));
  },
});
