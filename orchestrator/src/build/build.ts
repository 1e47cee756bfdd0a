import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { OrchestratorError } from '../errors.ts';
import type { BuildSpec, PlatformModel, ServiceSpec } from '../model/types.ts';
import type { Report, Step } from '../platform/steps.ts';
import { Child, describeExit } from '../process/child.ts';
import type { Reaper } from '../process/reaper-client.ts';
import { root } from '../root.ts';
import { compilerOf } from './compilers.ts';
import { BuildStamp } from './sources.ts';

export interface BuildOptions {
  readonly model: PlatformModel;
  readonly reaper: Reaper;
  readonly release: boolean;
  readonly signal: AbortSignal;
}

/** The program of a service and its first arguments. */
export const programOf = ({ build }: ServiceSpec, release: boolean): readonly [string, ...string[]] => {
  switch (build.kind) {
    case 'cargo':
      return [
        join(process.env['CARGO_TARGET_DIR'] ?? join(root, 'target'), release ? 'release' : 'debug', build.package),
      ];
    case 'go':
      return [join(root, build.output)];
    case 'node':
      return [process.execPath, join(root, build.entry)];
    case 'prebuilt':
      return build.command;
  }
};

/** One step for all compilers: they run side by side. */
export const buildSteps = (options: BuildOptions): Step[] => {
  const services = Object.entries(options.model.services).filter(
    ([, { build, runs }]) => runs === 'instance' && (build.kind === 'cargo' || build.kind === 'go'),
  );
  if (services.length === 0) return [];
  return [
    {
      title: `Build ${services.map(([name, { language }]) => `${name} (${language})`).join(', ')}`,
      run: async (report) => {
        const doing = new Map<string, string>();
        const results = await Promise.allSettled(
          services.map(([name, spec]) =>
            buildService(name, spec, options, (text) => {
              doing.set(name, `${name}: ${text}`);
              report([...doing.values()].join(' · '));
            }),
          ),
        );
        for (const result of results) if (result.status === 'rejected') throw result.reason;
      },
    },
  ];
};

const buildService = async (name: string, spec: ServiceSpec, options: BuildOptions, report: Report): Promise<void> => {
  const [output] = programOf(spec, options.release);
  const stamp = new BuildStamp(
    `${name}-${options.release ? 'release' : 'debug'}`,
    spec.build.sources,
    `${process.platform}-${process.arch} ${process.env['GOFLAGS'] ?? ''} ${process.env['RUSTFLAGS'] ?? ''}`,
  );
  if (stamp.isCurrent && existsSync(output)) return report('up to date');
  await compile(name, spec.build, options, report);
  stamp.save();
};

/** Compilers may be silent for a while: the seconds that go by are movement enough. */
const tickMs = 1000;

const compile = async (name: string, build: BuildSpec, options: BuildOptions, report: Report): Promise<void> => {
  if (build.kind !== 'cargo' && build.kind !== 'go') return;
  options.signal.throwIfAborted();
  const { command, args, env, isProgress } = compilerOf(build, options.release);
  const started = Date.now();
  const messages: string[] = [];
  let latest = 'starting';
  const tell = (): void => report(`${latest} (${Math.round((Date.now() - started) / 1000)} s)`);
  const child = new Child(options.reaper, {
    command,
    args,
    cwd: root,
    env: { ...process.env, ...env },
    onLine: (line) => {
      if (isProgress(line)) latest = line.trim();
      else messages.push(line);
      tell();
    },
  });
  const stop = (): void => child.signal('SIGTERM');
  options.signal.addEventListener('abort', stop, { once: true });
  const ticking = setInterval(tell, tickMs);
  const exit = await child.exited;
  clearInterval(ticking);
  options.signal.removeEventListener('abort', stop);
  options.signal.throwIfAborted();
  if (exit.kind === 'code' && exit.code === 0)
    return report(`built in ${Math.round((Date.now() - started) / 100) / 10} s`);
  throw new OrchestratorError(
    'BUILD_FAILED',
    `${name} does not build: \`${command} ${args.join(' ')}\` (${describeExit(exit)}).`,
    {
      details: messages.join('\n'),
    },
  );
};
