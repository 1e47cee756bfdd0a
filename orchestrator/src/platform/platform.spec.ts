import { setTimeout as sleep } from 'node:timers/promises';
import type { HeldBuild } from '../drivers/generation.ts';
import { Platform, type PlatformParts } from './platform.ts';

/** A platform that builds nothing: it notes when a build begins and ends. `broken` does not build. */
const building = () => {
  const course: string[] = [];
  const build = async (service: string): Promise<HeldBuild> => {
    course.push(`${service} begins`);
    await sleep(20);
    course.push(`${service} ends`);
    if (service === 'broken') throw new Error('it does not build');
    return { build: { kind: 'image', image: service }, [Symbol.dispose]: () => {} };
  };
  const platform = new Platform({ driver: { build } } as unknown as PlatformParts);
  const start = (service: string): Promise<HeldBuild> =>
    platform.build(service, new AbortController().signal, () => {});
  return { course, start };
};

test('two builds of a service follow one another', async () => {
  const { course, start } = building();
  await Promise.all([start('cache'), start('cache')]);
  expect(course).toEqual(['cache begins', 'cache ends', 'cache begins', 'cache ends']);
});

test('builds of two services go side by side', async () => {
  const { course, start } = building();
  await Promise.all([start('cache'), start('gateway')]);
  expect(course).toEqual(['cache begins', 'gateway begins', 'cache ends', 'gateway ends']);
});

test('a build that fails does not keep the next one from its turn', async () => {
  const { course, start } = building();
  const results = await Promise.allSettled([start('broken'), start('broken')]);
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(course).toEqual(['broken begins', 'broken ends', 'broken begins', 'broken ends']);
});
