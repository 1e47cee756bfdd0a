import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { OrchestratorError } from '../errors.ts';
import { composeName } from '../model/compose.ts';
import { type InstanceSpec, instancesOf } from '../model/instances.ts';
import type { PlatformModel } from '../model/types.ts';
import type { Report, Step } from '../platform/steps.ts';
import { Child, describeExit } from '../process/child.ts';
import type { Reaper } from '../process/reaper-client.ts';
import { root } from '../root.ts';
import { BuildStamp } from './sources.ts';

export interface ImageOptions {
  readonly model: PlatformModel;
  readonly reaper: Reaper;
  readonly signal: AbortSignal;
}

/** What goes into every image beside the sources of its service. */
const commonSources = ['.dockerignore', 'docker-compose.yml', 'package.json', 'package-lock.json', 'Cargo.toml'];

const imageExists = async (image: string): Promise<boolean> => {
  try {
    await promisify(execFile)('docker', ['image', 'inspect', image]);
    return true;
  } catch {
    return false;
  }
};

interface Image {
  /** The service of the compose file that builds it. */
  readonly name: string;
  readonly stamp: BuildStamp;
  readonly isCurrent: boolean;
}

const imageOf = async (instance: InstanceSpec): Promise<Image> => {
  const { service, spec } = instance;
  const stamp = new BuildStamp(`image-${service}`, [...spec.build.sources, spec.image.dockerfile, ...commonSources]);
  const tag = process.env['BIMETAL_IMAGE_TAG'] ?? 'dev';
  const isCurrent = stamp.isCurrent && (await imageExists(`bimetal-${service}:${tag}`));
  return { name: composeName(instance), stamp, isCurrent };
};

/** Builds the images whose sources changed, with one `docker compose build`. */
export const imageStep = (options: ImageOptions): Step => ({
  title: 'Build images',
  run: async (report) => {
    const first = Object.entries(options.model.services).flatMap(([service, { runs }]) =>
      runs === 'instance' ? instancesOf(options.model, service).slice(0, 1) : [],
    );
    const images = await Promise.all(first.map(imageOf));
    const outdated = images.filter(({ isCurrent }) => !isCurrent);
    if (outdated.length === 0) return report('up to date');
    await build(
      outdated.map(({ name }) => name),
      options,
      report,
    );
    for (const { stamp } of outdated) stamp.save();
  },
});

const build = async (services: readonly string[], { reaper, signal }: ImageOptions, report: Report): Promise<void> => {
  signal.throwIfAborted();
  const args = ['compose', '--progress', 'plain', 'build', ...services];
  const lines: string[] = [];
  const started = Date.now();
  let latest = services.join(', ');
  const tell = (): void => report(`${latest} (${Math.round((Date.now() - started) / 1000)} s)`);
  const child = new Child(reaper, {
    command: 'docker',
    args,
    cwd: root,
    env: { ...process.env, DOCKER_BUILDKIT: '1' },
    onLine: (line) => {
      lines.push(line);
      latest = line.slice(0, 120);
      tell();
    },
  });
  const stop = (): void => child.signal('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  const ticking = setInterval(tell, 1000);
  const exit = await child.exited;
  clearInterval(ticking);
  signal.removeEventListener('abort', stop);
  signal.throwIfAborted();
  if (exit.kind === 'code' && exit.code === 0) return;
  throw new OrchestratorError(
    'BUILD_FAILED',
    `The images of ${services.join(', ')} do not build: \`docker ${args.join(' ')}\` (${describeExit(exit)}).`,
    {
      details: failedPart(lines).join('\n'),
    },
  );
};

/** BuildKit repeats the failed step at the end, after a line of dashes. */
const failedPart = (lines: readonly string[]): readonly string[] => {
  const separator = lines.indexOf('------');
  return separator >= 0 ? lines.slice(separator) : lines.slice(-60);
};
