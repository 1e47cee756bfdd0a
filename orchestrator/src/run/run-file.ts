import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { OrchestratorError, systemCodeOf } from '../errors.ts';
import { stateFolder } from '../root.ts';
import { isSameProcess, startTimeOf } from './process-identity.ts';

/** `.bimetal/runs/NAME.json`: where the owner of a run can be reached. Readable by its user alone. */
const runSchema = z.object({
  name: z.string(),
  driver: z.enum(['process', 'container']),
  /** The owner. Its start time tells it from a later process with the same pid. */
  pid: z.number().int(),
  startTime: z.string(),
  /** Base URL of the control API; absent while it starts, and in runs that a test owns. */
  control: z.string().optional(),
  /** For the control API. */
  token: z.string(),
  /** For ControlService and namespace writes at nodes. */
  runToken: z.string(),
  /** The owner is ending the run: its name and its ports are free in a moment. */
  stopping: z.boolean().optional(),
  /** HOST:PORT by route (`gateway.http`, `cache-0.grpc`): these stay while instances come and go. */
  endpoints: z.record(z.string(), z.string()),
  instances: z.record(z.string(), z.object({ addresses: z.record(z.string(), z.string()) })),
  /** Of the cache, as clients on this machine reach its nodes; absent while it starts. */
  topology: z
    .object({
      epoch: z.string(),
      nodes: z.array(z.object({ name: z.string(), tag: z.number().int(), address: z.string() })),
    })
    .optional(),
});

export type Run = z.infer<typeof runSchema>;

const runsFolder = join(stateFolder, 'runs');
export const runFilePath = (name: string): string => join(runsFolder, `${name}.json`);

const namePattern = /^[a-z0-9][a-z0-9-]{0,40}$/;

const read = (name: string): Run | undefined => {
  try {
    const parsed = runSchema.safeParse(JSON.parse(readFileSync(runFilePath(name), 'utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
};

/** The run of that name if its owner lives; the file of a dead owner is removed. */
export const findRun = (name: string): Run | undefined => {
  const run = read(name);
  if (!run) return undefined;
  if (isSameProcess(run.pid, run.startTime)) return run;
  rmSync(runFilePath(name), { force: true });
  return undefined;
};

export const listRuns = (): Run[] => {
  let files: string[] = [];
  try {
    files = readdirSync(runsFolder);
  } catch {
    // No folder: nothing has run here.
  }
  return files.flatMap((file) => (file.endsWith('.json') ? (findRun(file.slice(0, -5)) ?? []) : []));
};

/** How long a run that is stopping is waited for; it takes a second itself. */
const stoppingLimitMs = 5000;

/** Takes the name for this process. */
export const claimRun = async (run: Pick<Run, 'name' | 'driver' | 'token' | 'runToken'>): Promise<OwnedRun> => {
  if (!namePattern.test(run.name)) {
    throw new OrchestratorError('USAGE', `"${run.name}" is no name for a run: it takes a-z, 0-9 and "-", 41 at most.`);
  }
  mkdirSync(runsFolder, { recursive: true });
  const owned = new OwnedRun({
    ...run,
    pid: process.pid,
    startTime: startTimeOf(process.pid) ?? '',
    endpoints: {},
    instances: {},
  });
  const deadline = Date.now() + stoppingLimitMs;
  for (;;) {
    try {
      writeFileSync(runFilePath(run.name), owned.text, { mode: 0o600, flag: 'wx' });
      return owned;
    } catch (error) {
      if (systemCodeOf(error) !== 'EEXIST') throw error;
    }
    const other = findRun(run.name);
    if (other?.stopping && Date.now() < deadline) {
      await sleep(20);
      continue;
    }
    if (other) throw alreadyRunning(other);
    // Unreadable, or its owner died: findRun has removed the latter, and nobody needs the former.
    rmSync(runFilePath(run.name), { force: true });
  }
};

const alreadyRunning = ({ name, pid, endpoints }: Run): OrchestratorError => {
  const ports = Object.entries(endpoints).map(([route, address]) => `${address} is ${route}`);
  return new OrchestratorError(
    'ALREADY_RUNNING',
    `The platform "${name}" runs already (owner: pid ${pid}). \`./bimetal down\` stops it; --name NAME --ports free starts another one beside it.`,
    ports.length > 0 ? { details: ports.join('\n') } : {},
  );
};

export class OwnedRun {
  #run: Run;

  constructor(run: Run) {
    this.#run = run;
  }

  get text(): string {
    return `${JSON.stringify(this.#run, null, 2)}\n`;
  }

  /** Readers see the old or the new file, never half of one. */
  update(change: Partial<Pick<Run, 'control' | 'endpoints' | 'instances' | 'topology' | 'stopping'>>): void {
    this.#run = { ...this.#run, ...change };
    const path = runFilePath(this.#run.name);
    const temporary = `${path}.${process.pid}`;
    writeFileSync(temporary, this.text, { mode: 0o600 });
    renameSync(temporary, path);
  }

  release(): void {
    rmSync(runFilePath(this.#run.name), { force: true });
  }
}
