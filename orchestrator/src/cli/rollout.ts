import { failures, OrchestratorError } from '../errors.ts';
import { ControlClient } from '../run/control-client.ts';
import { watchInterrupts } from '../run/signals.ts';
import { printJson, printLine } from './output.ts';

export interface RolloutCommandOptions {
  readonly name: string;
  readonly json?: true;
  readonly build: boolean;
  readonly set?: Readonly<Record<string, string>>;
  readonly maxErrorRatio?: number;
  readonly maxP99?: number;
  readonly watch?: number;
}

/** Ctrl-C aborts, which rolls back. */
export const rollout = async (target: string, options: RolloutCommandOptions): Promise<void> => {
  const interrupts = watchInterrupts(() => process.exit(failures.INTERRUPTED.exitCode));
  const { json, maxErrorRatio, maxP99, watch } = options;
  try {
    const report = await ControlClient.connect(options.name).rollOut(
      {
        target,
        build: options.build,
        ...(options.set && { settings: options.set }),
        limits: {
          ...(maxErrorRatio !== undefined && { errorRatio: maxErrorRatio }),
          ...(maxP99 !== undefined && { p99Ms: maxP99 }),
          ...(watch !== undefined && { watchMs: watch }),
        },
      },
      ({ ms, instance, step }) => {
        if (!json) printLine(`${(ms / 1000).toFixed(2).padStart(7)} s  ${instance ? `${instance}  ` : ''}${step}`);
      },
      interrupts.first,
    );
    if (json) printJson(report);
    if (report.outcome === 'rolled back') {
      throw new OrchestratorError('ROLLED_BACK', `The rollout of ${target} was rolled back: ${report.reason}.`);
    }
  } finally {
    interrupts.dispose();
  }
};
