import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { failures } from './errors.ts';
import { root } from './root.ts';

test('the README has every exit code with its meaning', () => {
  const readme = readFileSync(join(root, 'orchestrator', 'README.md'), 'utf8');
  for (const [name, { exitCode, meaning }] of Object.entries(failures)) {
    expect(readme).toContain(`| ${exitCode} | ${name} | ${meaning} |`);
  }
});

test('no two failures share an exit code', () => {
  const codes = Object.values(failures).map(({ exitCode }) => exitCode);
  expect(new Set(codes).size).toBe(codes.length);
});
