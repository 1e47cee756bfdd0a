// The engine against its reference, and the server against random bytes, again and again with fresh random cases.
import { has, run, tail } from './command.ts';
import { failed, leftOut, type Part, type PartResult, passed } from './part.ts';

/** Of each property in one round: some tens of seconds. */
const casesInRound = 3_000;

const rounds = async (
  command: readonly [string, ...string[]],
  minutes: number,
  signal: AbortSignal,
): Promise<{ count: number; failure: string | undefined }> => {
  const end = Date.now() + minutes * 60_000;
  for (let count = 0; ; count++) {
    if (count > 0 && Date.now() > end) return { count, failure: undefined };
    signal.throwIfAborted();
    const { code, output } = await run({
      command,
      env: { MODEL_CASES: String(casesInRound), PROPTEST_CASES: String(casesInRound) },
      timeoutMs: minutes * 60_000 + 20 * 60_000,
      signal,
    });
    if (code !== 0) return { count, failure: tail(output, 120) };
  }
};

export const rustModel: Part = {
  name: 'Rust: engine against its reference, server against random bytes (proptest)',
  run: async (minutes, signal) => {
    if (!has('cargo')) return leftOut('Rust is not installed');
    const parts: [string, readonly [string, ...string[]]][] = [
      ['engine, model', ['cargo', 'test', '--locked', '-p', 'bimetal-engine', '--test', 'model']],
      ['server, random bytes', ['cargo', 'test', '--locked', '-p', 'bimetal-cache', '--test', 'it', 'fuzz']],
    ];
    const results: PartResult[] = [];
    for (const [name, command] of parts) {
      const { count, failure } = await rounds(command, minutes / parts.length, signal);
      const figure = `${name}: ${count} rounds${name.startsWith('engine') ? ` of ${casesInRound.toLocaleString('en-US')} cases of each property` : ''}`;
      results.push(failure === undefined ? passed([figure]) : failed([figure], [failure]));
    }
    return merge(results);
  },
};

export const merge = (results: readonly PartResult[]): PartResult => ({
  passed: results.reduce((sum, { passed }) => sum + passed, 0),
  failed: results.reduce((sum, { failed }) => sum + failed, 0),
  skipped: results.reduce((sum, { skipped }) => sum + skipped, 0),
  figures: results.flatMap(({ figures }) => figures),
  leftOut: results.flatMap(({ leftOut }) => leftOut),
  details: results.flatMap(({ details }) => details),
});
