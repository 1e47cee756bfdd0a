// `npm run check`: format, lint, types, drift. Each step says how long it took; a failed one shows its output, once, and
// how to mend it.
import { execFile, spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { checkLanes, type Step } from './steps.ts';

const root = resolve(import.meta.dirname, '../..');

const has = (program: string): boolean => spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined;

type Failure = Error & { readonly stdout?: string; readonly stderr?: string };

const runStep = async ({ name, command: [program, ...args], cwd = root, env, mend }: Step): Promise<boolean> => {
  const begin = performance.now();
  const seconds = (): string => `${((performance.now() - begin) / 1_000).toFixed(1)} s`;
  try {
    await promisify(execFile)(program, args, { cwd, env: { ...process.env, ...env }, maxBuffer: 64 * 1024 * 1024 });
    console.log(`✓ ${name} (${seconds()})`);
    return true;
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as Failure;
    const output = `${stdout}${stderr}`.trim();
    console.log(`✗ ${name} (${seconds()})\n${output === '' ? message : output}\n  mend: ${mend}`);
    return false;
  }
};

const runLane = async (lane: readonly Step[]): Promise<number> => {
  let failed = 0;
  for (const step of lane) if (!(await runStep(step))) failed += 1;
  return failed;
};

const { lanes, left } = await checkLanes(root, has);
const failed = (await Promise.all(lanes.map(runLane))).reduce((sum, count) => sum + count, 0);
for (const { name, reason } of left) console.log(`– ${name}: left out, ${reason}`);
const passed = lanes.flat().length - failed;
console.log(`${passed} passed, ${failed} failed${left.length > 0 ? `, ${left.length} skipped` : ''}`);
process.exitCode = failed === 0 ? 0 : 1;
