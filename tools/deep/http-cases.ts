// Cases that schemathesis makes from the OpenAPI document of the running gateway.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startPlatform } from '../../orchestrator/src/index.ts';
import { stateFolder } from '../../orchestrator/src/root.ts';
import { has, root, run, tail } from './command.ts';
import { failed, leftOut, type Part, passed } from './part.ts';

const program = process.env['SCHEMATHESIS'] ?? 'schemathesis';

export const httpCases: Part = {
  name: 'HTTP by generated cases (schemathesis)',
  run: async (minutes, signal) => {
    if (!has(program)) return leftOut('schemathesis is not installed (PyPI; or SCHEMATHESIS=/path/to/it)');
    await using platform = await startPlatform({
      name: 'deep-http',
      ports: 'free',
      driver: 'process',
      quiet: true,
      signal,
    });
    const folder = join(stateFolder, 'deep');
    mkdirSync(folder, { recursive: true });
    const url = platform.instance('gateway-0').url('http');
    const { code, output } = await run({
      // One worker: Python's own parser is not safe with several (SystemError in `ast`).
      command: [
        program,
        '--config-file',
        join(root, 'tools/deep/schemathesis.toml'),
        'run',
        `${url}/openapi.json`,
        '--workers',
        '1',
        '--max-time',
        String(Math.round(minutes * 60)),
        '--phases',
        'examples,coverage,fuzzing,stateful',
        '--checks',
        'all',
        '--warnings',
        'off',
        '--no-color',
        '--continue-on-failure',
        '--generation-database',
        'none',
      ],
      // It keeps what it found last beside itself.
      cwd: folder,
      timeoutMs: minutes * 60_000 + 120_000,
      signal,
    });
    const [cases = 'no summary'] = /^\s+\d+ generated.*$/m.exec(output) ?? [];
    const [seed = ''] = /^Seed: \d+$/m.exec(output) ?? [];
    const unready = platform.instances.filter(({ state }) => state !== 'ready').map(({ name }) => name);
    const figures = [`${cases.trim()}; ${seed.toLowerCase()}`];
    if (unready.length > 0) return failed(figures, [`not ready any more: ${unready.join(', ')}`, tail(output)]);
    return code === 0 ? passed(figures) : failed(figures, [failuresIn(output)]);
  },
};

const failuresIn = (output: string): string => {
  const from = output.search(/^=+ (ERRORS|FAILURES) =+$/m);
  return from < 0 ? tail(output) : output.slice(from, from + 20_000);
};
