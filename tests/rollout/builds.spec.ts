// What runs is what was rolled out: also in instances that are added, and whatever has been built since. Builds that
// nobody needs any longer are gone.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import type { Build, HeldBuild } from '../../orchestrator/src/drivers/generation.ts';
import { restart, rollOut, scale } from '../../orchestrator/src/index.ts';
import { stateFolder } from '../../orchestrator/src/root.ts';
import { temporaryFolder } from '../../orchestrator/src/testing/temporary-folder.ts';
import { eventually } from '../support/eventually.ts';
import { driver, useStage } from '../support/platform.ts';

// How a gateway drains is not the subject: it is quick.
const stage = useStage({
  model: { services: { gateway: { settings: { DRAIN_DELAY: '50ms' } }, example: { omit: true } } },
});
const limits = { canaryMs: 100, watchMs: 0 };

const images: string[] = [];
afterAll(() => {
  if (images.length > 0) execFileSync('docker', ['image', 'rm', '--force', ...images]);
});

/** The same gateway as another file, or as another image. */
const anotherBuild = (): Build => {
  const present = stage().platform.instance('gateway-0').change.build;
  if (present?.kind === 'program') {
    const program = join(temporaryFolder(), 'bimetal-gateway');
    copyFileSync(present.command[0], program);
    return { kind: 'program', command: [program] };
  }
  const input = `FROM bimetal-gateway:${process.env['BIMETAL_IMAGE_TAG'] ?? 'dev'}\nLABEL bimetal.test=another\n`;
  const image = execFileSync('docker', ['build', '--quiet', '-'], { input, encoding: 'utf8' }).trim();
  images.push(image);
  return { kind: 'image', image };
};

test('an instance that is added runs what the others were rolled out to', async () => {
  const { platform } = stage();
  const former = platform.instance('gateway-0').change;
  const wanted = { build: anotherBuild(), settings: { LOG_LEVEL: 'debug' } };
  expect(wanted.build).not.toEqual(former.build);
  expect((await rollOut(platform, { target: 'gateway', ...wanted, limits })).outcome).toBe('done');
  await scale(platform, { service: 'gateway', replicas: 2 });
  expect(platform.instancesOf('gateway').map(({ change }) => change)).toEqual([wanted, wanted]);
  const added = platform.instance('gateway-1');
  await fetch(`${added.url('http')}/v1/cache/demo/x`);
  await eventually(() =>
    expect(added.logs()).toContainEqual(expect.objectContaining({ msg: 'request', level: 'debug' })),
  );
  await restart(platform, added);
  expect(added.change).toEqual(wanted);
  await scale(platform, { service: 'gateway', replicas: 1 });
}, 60_000);

const onePinEach = (): void => {
  /** What the run has kept of its builds. */
  const pins = (): string[] =>
    readdirSync(join(stateFolder, 'runs', `${stage().platform.name}-${process.pid}.programs`)).toSorted();
  const pinsOf = (service: string): string[] => pins().filter((pin) => pin.startsWith(`${service}-`));
  const programOf = (build: Build | undefined): string => (build?.kind === 'program' ? build.command[0] : '');
  const build = (): Promise<HeldBuild> => stage().platform.build('gateway', new AbortController().signal, () => {});

  test('a rollout leaves no build behind but that which it rolled out', async () => {
    const { platform } = stage();
    const seen = new Set<string>();
    for (let i = 0; i < 3; i += 1) {
      expect((await rollOut(platform, { target: 'gateway', build: true, limits })).outcome).toBe('done');
      expect(pins().map((pin) => pin.replace(/-\d+$/, ''))).toEqual(['cache', 'edge', 'gateway']);
      seen.add(programOf(platform.instance('gateway-0').change.build));
    }
    expect(seen.size).toBe(3);
  }, 60_000);

  test('one that is rolled back leaves what ran before, to be started again with', async () => {
    const { platform } = stage();
    const before = pins();
    const rollout = await rollOut(platform, {
      target: 'gateway',
      build: true,
      settings: { LISTEN: 'nowhere' },
      limits,
    });
    expect(rollout.outcome).toBe('rolled back');
    expect(pins()).toEqual(before);
    const gateway = platform.instance('gateway-0');
    await gateway.kill();
    await gateway.start();
    expect(gateway.state).toBe('ready');
  }, 60_000);

  test('instances that differ keep a build each, for as long as there are both', async () => {
    const { platform } = stage();
    await scale(platform, { service: 'gateway', replicas: 2 });
    expect(pinsOf('gateway')).toHaveLength(1);
    await rollOut(platform, { target: 'gateway-1', build: true, limits });
    expect(pinsOf('gateway')).toHaveLength(2);
    await scale(platform, { service: 'gateway', replicas: 1 });
    expect(pinsOf('gateway')).toHaveLength(1);
    expect(existsSync(programOf(platform.instance('gateway-0').change.build))).toBe(true);
  }, 60_000);

  test('a build stays while somebody holds it, whatever is built and changed meanwhile', async () => {
    const { platform } = stage();
    const held = await Promise.all([build(), build()]);
    const programs = held.map((one) => programOf(one.build));
    expect(new Set(programs).size).toBe(2);
    await restart(platform, platform.instance('gateway-0'));
    expect(programs.map(existsSync)).toEqual([true, true]);
    const [first] = held;
    await rollOut(platform, { target: 'gateway', build: first.build, limits });
    for (const one of held) one[Symbol.dispose]();
    await restart(platform, platform.instance('gateway-0'));
    expect(programs.map(existsSync)).toEqual([true, false]);
    expect(pinsOf('gateway')).toHaveLength(1);
  }, 60_000);
};

// Images are the engine's to keep.
if (driver === 'process') describe('what was built is kept', onePinEach);
