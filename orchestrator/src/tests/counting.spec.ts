import { countCargo, countGo, countJest } from './counting.ts';
import { closingLine, sumOf } from './result.ts';

test('cargo: the summaries of all binaries are added up', () => {
  const lines = [
    'running 2 tests',
    'test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out',
    'test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out',
  ];
  expect(countCargo(lines, 101)).toEqual({ passed: 5, failed: 1, skipped: 1 });
});

test('a run that ends with an error and counts no failure counts as one failure', () => {
  expect(countCargo(['error: could not compile'], 101)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  expect(countGo([], 2)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  expect(countJest(undefined, 1)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test('go: tests are counted, packages are not', () => {
  const lines = [
    '{"Action":"pass","Package":"a","Test":"TestOne"}',
    '{"Action":"skip","Package":"a","Test":"TestTwo"}',
    '{"Action":"fail","Package":"a","Test":"TestThree"}',
    '{"Action":"fail","Package":"a"}',
    'not JSON',
  ];
  expect(countGo(lines, 1)).toEqual({ passed: 1, failed: 1, skipped: 1 });
});

test('the closing line names skipped tests only if there are any', () => {
  expect(
    closingLine(
      sumOf([
        { passed: 1, failed: 0, skipped: 0 },
        { passed: 2, failed: 0, skipped: 0 },
      ]),
    ),
  ).toBe('3 passed, 0 failed');
  expect(closingLine({ passed: 1, failed: 2, skipped: 3 })).toBe('1 passed, 2 failed, 3 skipped');
});
