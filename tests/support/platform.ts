// A platform for a suite: on the driver that BIMETAL_TEST_DRIVER names, with free ports and a name of its own.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll } from '@jest/globals';
import { CacheClient } from '../../contract/ts/index.ts';
import { type DriverKind, type Platform, type StartOptions, startPlatform } from '../../orchestrator/src/index.ts';
import { HttpClient } from './http.ts';

export const driver: DriverKind = process.env['BIMETAL_TEST_DRIVER'] === 'container' ? 'container' : 'process';

export type Stage = {
  readonly platform: Platform;
  /** The public side of gateway-0. */
  readonly http: HttpClient;
  /** Straight to the nodes. */
  readonly cache: CacheClient;
};

/** Starts a platform before the tests of a file and ends it after them. The stage is there once the tests run. */
export const useStage = (options: Pick<StartOptions, 'model' | 'settings'> = {}): (() => Stage) => {
  let stage: Stage | undefined;

  beforeAll(async () => {
    const name = `test-${randomBytes(4).toString('hex')}`;
    const platform = await startPlatform({ name, driver, ports: 'free', quiet: true, ...options });
    stage = {
      platform,
      http: new HttpClient(platform.instance('gateway-0').url('http')),
      cache: new CacheClient(platform.clientTopology),
    };
  }, 180_000);

  afterAll(async () => {
    stage?.cache[Symbol.dispose]();
    await stage?.http.close();
    await stage?.platform.stop();
  }, 60_000);

  return () => {
    if (stage === undefined) throw new Error('the platform did not start');
    return stage;
  };
};

let keys = 0;

/** A key that no other test uses. */
export const freshKey = (prefix = 'key'): string =>
  `${prefix}-${process.pid.toString(36)}-${Date.now().toString(36)}-${keys++}`;
