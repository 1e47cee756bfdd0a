import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { root } from '../root.ts';

interface Compose {
  readonly services: Readonly<Record<string, { readonly environment: Readonly<Record<string, string>> }>>;
}

test('whoever looks at Host knows the name by which the status page of docker-compose.yml asks for it', () => {
  const { services }: Compose = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8'));
  const observed = services['dashboard']?.environment['BIMETAL_OBSERVE']?.split(',') ?? [];
  expect(observed.length).toBeGreaterThan(3);
  for (const entry of observed) {
    const { hostname } = new URL(entry.slice(entry.indexOf('=') + 1));
    const { BIMETAL_ALLOWED_HOSTS: allowed = '' } = services[hostname]?.environment ?? {};
    // Nodes do not look at Host yet (tests/security/origins.spec.ts).
    if (!hostname.startsWith('cache-'))
      expect([hostname, allowed.split(',')]).toEqual([hostname, expect.arrayContaining([hostname])]);
  }
});
