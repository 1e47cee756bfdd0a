// A mix of everything at a constant rate: every request is answered, and every answer is right, by what the load knows of
// each key. (Latencies are not judged here.)
import { expect, test } from '@jest/globals';
import { isClean, startLoad, tableOf } from '../../orchestrator/src/load/index.ts';
import { useSharedStage } from '../support/platform.ts';

const stage = useSharedStage();

test('reads, writes, compare-and-swaps and increments of skewed keys in two namespaces', async () => {
  const load = startLoad({
    urls: [stage().platform.instance('gateway-0').url('http')],
    steps: [
      { rate: 200, seconds: 1 },
      { rate: 600, seconds: 2 },
    ],
    mix: { read: 60, write: 25, cas: 10, increment: 5 },
    keys: 300,
    namespaces: ['demo', 'default'],
    skew: { kind: 'zipf', exponent: 1 },
    sizes: [
      { bytes: 100, weight: 20 },
      { bytes: 70_000, weight: 1 },
    ],
  });
  await load.ended;
  const report = await load.stop();
  expect([isClean(report), tableOf(report)]).toEqual([true, tableOf(report)]);
  expect(report).toMatchObject({ sent: 1_400, answered: 1_400, notSwept: 0, conflicts: 0 });
}, 60_000);
