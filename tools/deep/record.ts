// docs/testing-deep.md: what was run last, and what came of it.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { closingLine, sumOf } from '../../orchestrator/src/tests/result.ts';
import { root } from './command.ts';
import type { PartResult } from './part.ts';

type Recorded = PartResult & { readonly name: string; readonly seconds: number };

const commit = (): string => {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim();
  } catch {
    return 'a tree without git';
  }
};

const sectionOf = (result: Recorded): string => {
  const lines = [
    ...result.figures.map((figure) => `- ${figure}`),
    ...result.leftOut.map((reason) => `- left out: ${reason}`),
  ];
  const details = result.details.map((detail) => `\n\`\`\`\n${detail.trim()}\n\`\`\`\n`).join('');
  return `## ${result.name}\n\n${closingLine(result)} (${result.seconds} s)\n\n${lines.join('\n')}\n${details}`;
};

export const writeRecord = (results: readonly Recorded[], minutes: number): void => {
  const date = new Date().toISOString().slice(0, 10);
  const head = `<!-- Written by \`npm run test:deep -- --record\`. -->
# Deep tests, as last run

${date}, at ${commit()}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${minutes} minutes for each part that goes on as long as it is let:
${closingLine(sumOf(results))}.
`;
  writeFileSync(join(root, 'docs/testing-deep.md'), `${head}\n${results.map(sectionOf).join('\n')}`);
};
