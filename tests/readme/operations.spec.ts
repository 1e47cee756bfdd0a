// docs/operations.md has every flag of the services' --help and every metric that they serve.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { useStage } from '../support/platform.ts';

const root = resolve(import.meta.dirname, '../..');
const operations = readFileSync(join(root, 'docs/operations.md'), 'utf8');
const stage = useStage();

/** Of every program, not of this platform. */
const general = new Set(['--help', '--version', '--address']);

test.each(['target/debug/bimetal-cache', 'build/bin/bimetal-gateway', 'build/bin/bimetal-edge'])(
  'every flag of %s is documented',
  async (program) => {
    const { stdout, stderr } = await promisify(execFile)(join(root, program), ['--help']);
    const flags = new Set(
      [...`${stdout}${stderr}`.matchAll(/^\s+(?:-\w, )?(--[a-z][a-z-]+)/gm)].map(([, flag]) => flag ?? ''),
    );
    expect(flags.size).toBeGreaterThan(10);
    expect([...flags].filter((flag) => !general.has(flag) && !operations.includes(`\`${flag}\``))).toEqual([]);
  },
);

test.each(['cache-0', 'gateway-0', 'edge-0'])('every metric of %s is documented', async (instance) => {
  const text = await (await fetch(`${stage().platform.instance(instance).probeUrl}/metrics`)).text();
  const names = [...text.matchAll(/^# TYPE (bimetal_\w+)/gm)].map(([, name]) => name ?? '');
  expect(names.length).toBeGreaterThan(4);
  expect(names.filter((name) => !operations.includes(`\`${name}\``))).toEqual([]);
});
