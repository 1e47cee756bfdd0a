// `npm run generate`: everything that follows from proto/, the vectors last because they need the generated code.
// With --check nothing is changed.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const args = process.argv.slice(2);
for (const step of ['generate.ts', 'vectors.ts']) {
  execFileSync(process.execPath, [join(import.meta.dirname, step), ...args], { stdio: 'inherit' });
}
