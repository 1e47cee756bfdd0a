// Platforms for suites, on the driver that BIMETAL_TEST_DRIVER names, with free ports and names of their own.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll } from '@jest/globals';
import { CacheClient } from '../../contract/ts/index.ts';
import {
  type AttachedPlatform,
  attachPlatform,
  type DriverKind,
  type Platform,
  type StartOptions,
  startPlatform,
} from '../../orchestrator/src/index.ts';
import { HttpClient } from './http.ts';

export const driver: DriverKind = process.env['BIMETAL_TEST_DRIVER'] === 'container' ? 'container' : 'process';

export type Stage<P = Platform> = {
  readonly platform: P;
  /** The public side of gateway-0. */
  readonly http: HttpClient;
  /** Straight to the nodes. */
  readonly cache: CacheClient;
};

/** Starts a platform before the tests of a file and ends it after them. The stage is there once the tests run. */
export const useStage = (options: Pick<StartOptions, 'model' | 'settings'> = {}): (() => Stage) =>
  stageOn(async () => {
    const name = `test-${randomBytes(4).toString('hex')}`;
    const platform = await startPlatform({ name, driver, ports: 'free', quiet: true, ...options });
    return { platform, end: () => platform.stop() };
  });

/**
 * For a suite that harms nobody beside it: it writes keys and namespaces of its own, restarts nothing, and counts on no
 * total. It gets the running platform that BIMETAL_TEST_PLATFORM names, which others use at the same time; without it,
 * one of its own.
 */
export const useSharedStage = (): (() => Stage<AttachedPlatform>) => {
  const name = process.env['BIMETAL_TEST_PLATFORM'];
  return name ? stageOn(async () => ({ platform: attachPlatform(name), end: async () => {} })) : useStage();
};

const stageOn = <P extends AttachedPlatform>(
  begin: () => Promise<{ readonly platform: P; readonly end: () => Promise<void> }>,
): (() => Stage<P>) => {
  let stage: (Stage<P> & { readonly end: () => Promise<void> }) | undefined;

  beforeAll(async () => {
    const begun = await begin();
    stage = {
      ...begun,
      http: new HttpClient(begun.platform.instance('gateway-0').url('http')),
      cache: new CacheClient(begun.platform.clientTopology),
    };
  }, 180_000);

  afterAll(async () => {
    stage?.cache[Symbol.dispose]();
    await stage?.http.close();
    await stage?.end();
  }, 60_000);

  return () => {
    if (stage === undefined) throw new Error('the platform did not start');
    return stage;
  };
};

let fresh = 0;

/** A name that no other test uses, for a key or a namespace. */
export const freshName = (prefix: string): string =>
  `${prefix}-${process.pid.toString(36)}-${Date.now().toString(36)}-${fresh++}`;

export const freshKey = (prefix = 'key'): string => freshName(prefix);
