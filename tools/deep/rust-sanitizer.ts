// The engine, with its unsafe code, under AddressSanitizer.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { has, root, run, tail } from './command.ts';
import { failed, leftOut, type Part, passed } from './part.ts';

const cases = 300;
/** A build from nothing and the tests, several times slower than without. */
const limitMs = 40 * 60_000;

const target = (): string => /^host: (.+)$/m.exec(spawnSync('rustc', ['-vV'], { encoding: 'utf8' }).stdout)?.[1] ?? '';

export const rustSanitizer: Part = {
  name: 'Rust: engine under AddressSanitizer',
  run: async (_minutes, signal) => {
    if (!has('cargo')) return leftOut('Rust is not installed');
    if (!has('cargo', '+nightly', '--version')) return leftOut('there is no nightly toolchain of Rust');
    if (!/linux|darwin/.test(target())) return leftOut(`AddressSanitizer is not to be had for ${target()}`);
    const { code, output, timedOut } = await run({
      command: ['cargo', '+nightly', 'test', '--locked', '-p', 'bimetal-engine', '--target', target()],
      env: {
        RUSTFLAGS: '-Zsanitizer=address',
        CARGO_TARGET_DIR: join(root, 'target/sanitizer'),
        MODEL_CASES: String(cases),
      },
      timeoutMs: limitMs,
      signal,
    });
    const tests = [...output.matchAll(/^test result: ok\. (\d+) passed/gm)].reduce((sum, [, n]) => sum + Number(n), 0);
    const figures = [`${tests} tests, ${cases} cases of each property`];
    if (timedOut) return failed(figures, [`not done after ${limitMs / 60_000} minutes`]);
    return code === 0 ? passed(figures) : failed(figures, [tail(output, 120)]);
  },
};
