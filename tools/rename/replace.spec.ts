import { describe, expect, test } from '@jest/globals';
import { nameProblem, replaceName } from './replace.ts';

test('a name is replaced in its three spellings', () => {
  const text = 'bimetal.cache.v1 BIMETAL_LISTEN Bimetal bimetal_cache_hits ./bimetal';
  expect(replaceName(text, 'bimetal', 'acme2')).toBe('acme2.cache.v1 ACME2_LISTEN Acme2 acme2_cache_hits ./acme2');
});

describe('a name', () => {
  test.each(['acme', 'a2', 'shop123'])('may be %s', (name) => expect(nameProblem(name)).toBeUndefined());
  test.each(['', 'a', '2a', 'Acme', 'my-shop', 'my_shop', 'käse', 'cache', 'crate', 'x'.repeat(32)])(
    'may not be "%s"',
    (name) => {
      expect(nameProblem(name)).toMatch(/./);
    },
  );
});
