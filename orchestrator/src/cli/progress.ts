import type { StepRunner } from '../platform/steps.ts';

/** Without a terminal, a step that goes on says so this often. */
const plainEveryMs = 5000;

/** Draws steps with listr2 on a terminal; elsewhere plain lines, one per step and one every few seconds. */
export const drawSteps: StepRunner = async (steps) => {
  // Some pseudo-terminals say that they have no columns: nothing can be drawn on those.
  if (!process.stderr.isTTY || process.stderr.columns === 0) return runPlainly(steps);
  const { Listr, ProcessOutput } = await import('listr2');
  const { Logger } = await import('listr2').then(({ ListrLogger }) => ({ Logger: ListrLogger }));
  await new Listr(
    steps.map(({ title, run }) => ({
      title,
      task: (_, task) =>
        run((text) => {
          task.output = text;
        }),
    })),
    {
      registerSignalListeners: false,
      rendererOptions: {
        collapseErrors: false,
        showErrorMessage: false,
        logger: new Logger({ processOutput: new ProcessOutput(process.stderr, process.stderr) }),
      },
    },
  ).run();
};

const runPlainly: StepRunner = async (steps) => {
  for (const { title, run } of steps) {
    const started = Date.now();
    let toldAt = started;
    await run((text) => {
      if (Date.now() - toldAt < plainEveryMs) return;
      toldAt = Date.now();
      process.stderr.write(`  ${title}: ${text}\n`);
    });
    process.stderr.write(`✔ ${title} (${((Date.now() - started) / 1000).toFixed(1)} s)\n`);
  }
};
