import { expect, test } from '@jest/globals';
import { freshKey, useSharedStage } from '../support/platform.ts';

const stage = useSharedStage();

test('the example caches its slow look-up through the gateway', async () => {
  const url = `${stage().platform.instance('example-0').url('http')}/fingerprints/${freshKey('name')}`;
  const [first, second] = [await fetch(url), await fetch(url)];
  expect([first.headers.get('x-cache'), second.headers.get('x-cache')]).toEqual(['miss', 'hit']);
  expect(await second.json()).toEqual(await first.json());
});

test('the example counts visits at the node, also those that come at once', async () => {
  const url = `${stage().platform.instance('example-0').url('http')}/visits/${freshKey('page')}`;
  await Promise.all(Array.from({ length: 49 }, async () => (await fetch(url, { method: 'POST' })).text()));
  expect(await (await fetch(url, { method: 'POST' })).json()).toMatchObject({ visits: '50' });
});
