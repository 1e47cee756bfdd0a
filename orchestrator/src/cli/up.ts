import { join } from 'node:path';
import { styleText } from 'node:util';
import { failures, OrchestratorError } from '../errors.ts';
import { logFilter } from '../logs/filter.ts';
import { formatRecord } from '../logs/format.ts';
import { LogHub } from '../logs/hub.ts';
import { readModelChange } from '../model/change-file.ts';
import { instancesOf } from '../model/instances.ts';
import { platform as model } from '../model/platform.ts';
import { fixedPortOf } from '../model/routes.ts';
import type { Platform } from '../platform/platform.ts';
import { startPlatform } from '../platform/start.ts';
import { runQuietly } from '../platform/steps.ts';
import { stateFolder } from '../root.ts';
import { startedAt } from '../run/bootstrap-pipe.ts';
import type { serveRun as ServeRunFunction } from '../run/serve-run.ts';
import { watchInterrupts } from '../run/signals.ts';
import { chooseDriver } from '../toolchain/choose.ts';
import type { UpOptions } from './commands/up.ts';
import { printJson, printLine } from './output.ts';
import { drawSteps } from './progress.ts';

/** Starts the platform and owns it until somebody wants it to end. */
export const up = async (options: UpOptions): Promise<void> => {
  const interrupts = watchInterrupts(() => process.exit(failures.INTERRUPTED.exitCode));
  const say = (text: string): void => {
    if (!options.json) process.stderr.write(`${text}\n`);
  };
  try {
    // Loaded while other processes start: a warm start is to take 1.5 s at most.
    const serving = import('../run/serve-run.ts');
    const hub = new LogHub();
    await using platform = await start(options, hub, interrupts.first, say);
    const { drainMs } = await serve(platform, (await serving).serveRun, options, interrupts.first);
    say('Stopping …');
    await platform.stop(drainMs);
  } finally {
    interrupts.dispose();
  }
};

const start = async (
  options: UpOptions,
  hub: LogHub,
  signal: AbortSignal,
  say: (text: string) => void,
): Promise<Platform> => {
  const { driver, reason } = await chooseDriver(options.driver);
  say(`Driver: ${driver} (${reason}). Builds: ${options.release ? 'release' : 'development'}.`);
  try {
    return await startPlatform({
      name: options.name,
      driver,
      ports: options.ports,
      release: options.release ?? false,
      settings: { LOG_LEVEL: options.logLevel },
      ...(options.change !== undefined && { model: readModelChange(options.change) }),
      ...(options.keep && { dataFolder: join(stateFolder, 'data', options.name) }),
      hub,
      signal,
      runSteps: options.json ? runQuietly : drawSteps,
    });
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new OrchestratorError('INTERRUPTED', 'Interrupted; what had been started was ended.', { cause: error });
  }
};

type ServeRun = typeof ServeRunFunction;

/** How somebody wants the run to end: without a limit given, quickly. */
interface Ending {
  readonly drainMs?: number;
}

/** Resolves when the run is to end. */
const serve = async (
  platform: Platform,
  serveRun: ServeRun,
  options: UpOptions,
  interrupted: AbortSignal,
): Promise<Ending> => {
  const { promise: ended, resolve: end } = Promise.withResolvers<Ending>();
  interrupted.addEventListener('abort', () => end({}));
  if (interrupted.aborted) end({});
  // Without the reaper nobody would clean up after us, so we do not go on.
  platform.onReaperLost(() => end({}));

  const served = await serveRun(platform, { statusPort: options.ports === 'free' ? 0 : statusPort(), onStop: end });
  try {
    const readyMs = Date.now() - startedAt;
    if (options.json) printJson({ ready: true, readyMs, ...served.status() });
    else printLine(summary(platform, served.statusPage, readyMs));
    const stopLogs = showLogs(platform.logs, options);
    if (options.dev) await Promise.race([ended, devLoop(platform, ended)]);
    const ending = await ended;
    stopLogs();
    return ending;
  } finally {
    await served.close();
  }
};

/** Goes on until the run ends; an error of its own ends the run. */
const devLoop = async (platform: Platform, ended: Promise<unknown>): Promise<void> => {
  const { develop } = await import('../dev/dev.ts');
  const over = new AbortController();
  void ended.then(() => over.abort());
  platform.logs.say('info', 'Watching the sources and the contract.');
  await develop(platform, { signal: over.signal });
};

const statusPort = (): number => {
  const [dashboard] = instancesOf(model, 'dashboard');
  return dashboard ? fixedPortOf(dashboard, 'http') : 0;
};

const showLogs = (hub: LogHub, { json, show }: UpOptions): (() => void) => {
  const matches = logFilter({ level: show });
  return hub.subscribe((record) => {
    if (matches(record)) printLine(json ? JSON.stringify(record) : formatRecord(record));
  });
};

const summary = (platform: Platform, statusPage: string, readyMs: number): string => {
  const gateway = `http://${platform.endpoint('gateway.http')}`;
  const nodes = platform.clientTopology.nodes
    .map(({ name }) => `${name} ${platform.endpoint(`${name}.grpc`)}`)
    .join('   ');
  const hasExample = platform.instancesOf('example').length > 0;
  const bold = (text: string): string => styleText('bold', text);
  return `
${styleText('green', '●')} ${bold(`Ready in ${(readyMs / 1000).toFixed(1)} s`)}

  Gateway      ${bold(gateway)}   (API: ${gateway}/docs)
  Status page  ${bold(statusPage)}
  Nodes        ${nodes}${hasExample ? `\n  Example      http://${platform.endpoint('example.http')}` : ''}
${platform.remarks.map((remark) => `\n  Note: ${remark}`).join('')}
  Try it:  curl -X PUT ${gateway}/v1/cache/demo/hello -H 'Content-Type: application/json' -d '{"hello":"world"}'
           curl -i ${gateway}/v1/cache/demo/hello

  Ctrl-C stops everything. In another terminal: ./bimetal status, ./bimetal logs -f
`;
};
