import type { Counts } from './result.ts';

/** Sums the summaries of `cargo test`; a run that ended otherwise (it did not compile) counts as one failure. */
export const countCargo = (lines: readonly string[], exitCode: number): Counts => {
  const summaries = lines.flatMap((line) => {
    const found = /^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/.exec(line);
    return found ? [found.slice(1, 4).map(Number)] : [];
  });
  const column = (index: number): number => summaries.reduce((sum, counts) => sum + (counts[index] ?? 0), 0);
  return withExit({ passed: column(0), failed: column(1), skipped: column(2) }, exitCode);
};

/** Counts the events of `go test -json`: tests and subtests alike, as each is a sentence of its own. */
export const countGo = (lines: readonly string[], exitCode: number): Counts => {
  const counts = { pass: 0, fail: 0, skip: 0 };
  for (const line of lines) {
    const event = parseEvent(line);
    if (event?.Test === undefined) continue;
    if (event.Action === 'pass' || event.Action === 'fail' || event.Action === 'skip') counts[event.Action] += 1;
  }
  return withExit({ passed: counts.pass, failed: counts.fail, skipped: counts.skip }, exitCode);
};

export interface GoEvent {
  readonly Action?: string;
  readonly Test?: string;
  readonly Package?: string;
  readonly Output?: string;
}

export const parseEvent = (line: string): GoEvent | undefined => {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
};

export interface JestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly numRuntimeErrorTestSuites: number;
}

/** A suite that did not even load counts as one failure. */
export const countJest = (report: JestReport | undefined, exitCode: number): Counts =>
  report === undefined
    ? { passed: 0, failed: 1, skipped: 0 }
    : withExit(
        {
          passed: report.numPassedTests,
          failed: report.numFailedTests + report.numRuntimeErrorTestSuites,
          skipped: report.numPendingTests + report.numTodoTests,
        },
        exitCode,
      );

const withExit = (counts: Counts, exitCode: number): Counts =>
  exitCode !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
