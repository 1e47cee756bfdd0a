import { foreignRequest, isLoopbackAddress } from './origin.ts';

test.each(['localhost', 'LOCALHOST:7700', '127.0.0.1', '127.1.2.3:80', '[::1]', '[::1]:80', 'app.localhost', 'status'])(
  'Host %s is ours',
  (host) => expect(foreignRequest({ host }, ['status'])).toBeUndefined(),
);

test.each([
  undefined,
  '',
  'evil.example',
  '127.0.0.1.evil.example',
  'localhost.evil.example',
  '1.2.3.4',
  '::1',
  '[::2]',
])('Host %s is foreign', (host) => expect(foreignRequest({ host }, ['status'])).toMatch(/neither loopback/));

test.each(['http://evil.example', 'null', '', 'http://127.0.0.1.evil.example:80', 'file://'])(
  'Origin %s is foreign',
  (origin) => expect(foreignRequest({ host: 'localhost', origin })).toMatch(/origin/),
);

test('one foreign Origin among ours is foreign', () => {
  expect(foreignRequest({ host: 'localhost', origin: ['http://localhost', 'http://evil.example'] })).toMatch(/origin/);
  expect(foreignRequest({ host: 'localhost', origin: 'http://localhost:7700' })).toBeUndefined();
});

test('cross-site is foreign, same-origin, same-site and a typed address are not', () => {
  const from = (site: string) => foreignRequest({ host: 'localhost', 'sec-fetch-site': site });
  expect(from('cross-site')).toMatch(/Cross-site/);
  expect([from('same-origin'), from('same-site'), from('none')]).toEqual([undefined, undefined, undefined]);
});

test('addresses beyond loopback', () => {
  expect(['127.0.0.1:0', 'localhost:80', '[::1]:80'].map(isLoopbackAddress)).toEqual([true, true, true]);
  expect(['0.0.0.0:0', '[::]:0', '10.0.0.1:80', 'example.org:80', ''].map(isLoopbackAddress)).toEqual(
    Array(5).fill(false),
  );
});
