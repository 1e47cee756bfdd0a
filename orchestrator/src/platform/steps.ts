/** Shows what a step is doing right now, in a few words. */
export type Report = (text: string) => void;

export interface Step {
  readonly title: string;
  readonly run: (report: Report) => Promise<void>;
}

/** Runs steps one after the other; the command line has a runner that draws them. */
export type StepRunner = (steps: readonly Step[]) => Promise<void>;

export const runQuietly: StepRunner = async (steps) => {
  for (const step of steps) await step.run(() => {});
};
