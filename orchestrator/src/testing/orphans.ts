// Ends the orchestrator at random moments of build, start and run, and counts what is left three seconds later:
//
//   node orchestrator/src/testing/orphans.ts [--driver process|container] [--rounds 50] [--seed 1] [--fakes]
//
// Every second round is a SIGINT, the others are a SIGKILL, both of the whole process group. `--fakes` runs fakes in
// place of the native services, so that nothing has to be built. Exit code 0: nothing was ever left.
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { randomFrom } from '../load/random.ts';
import { stateFolder } from '../root.ts';
import { runFilePath } from '../run/run-file.ts';
import { Command, fakeChangeFile, upArgs } from './cli.ts';
import { engineLeftovers, processesWith } from './leftovers.ts';

const { values } = parseArgs({
  options: {
    driver: { type: 'string', default: 'process' },
    rounds: { type: 'string', default: '50' },
    seed: { type: 'string', default: '1' },
    fakes: { type: 'boolean', default: false },
    /** The latest moment of the signal after the start, in ms. */
    within: { type: 'string', default: '2500' },
  },
});

const graceMs = 3000;
const random = randomFrom(Number(values.seed));
const rounds = Number(values.rounds);

const oneRound = async (round: number): Promise<string[]> => {
  const name = `orphans-${process.pid}-${round}`;
  // Services inherit everything but our own BIMETAL_ settings.
  const mark = `ORPHANS_MARK=${name}`;
  const signal = round % 2 === 0 ? 'SIGINT' : 'SIGKILL';
  const delay = Math.round(random() * Number(values.within));
  // A build has to be under way in some rounds: without its stamp the compiler is asked again.
  if (!values.fakes && round % 4 < 2) {
    for (const stamp of ['gateway-debug', 'cache-debug']) rmSync(join(stateFolder, 'stamps', stamp), { force: true });
  }
  const args = values.fakes
    ? upArgs(name, fakeChangeFile())
    : ['up', '--driver', values.driver, '--ports', 'free', '--no-keep', '--name', name];
  const command = new Command(args, { ORPHANS_MARK: name });
  await sleep(delay);
  command.signalGroup(signal);
  await sleep(graceMs);
  const left = [
    ...processesWith(mark).map((line) => `process ${line}`),
    ...engineLeftovers(`bimetal-${name}`),
    ...(existsSync(runFilePath(name)) ? ['its run file'] : []),
  ];
  process.stdout.write(`${round + 1}/${rounds} ${signal} after ${delay} ms: ${left.length} left\n`);
  rmSync(runFilePath(name), { force: true });
  for (const line of left) process.stdout.write(`  ${line}\n`);
  return left;
};

let total = 0;
for (let round = 0; round < rounds; round += 1) total += (await oneRound(round)).length;
process.stdout.write(`${rounds} rounds, seed ${values.seed}: ${total} things left\n`);
process.exitCode = total === 0 ? 0 : 1;
