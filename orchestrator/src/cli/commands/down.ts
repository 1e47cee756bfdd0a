import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { OrchestratorError } from '../../errors.ts';
import { withTarget } from '../options.ts';
import { printJson, printLine } from '../output.ts';

/** The owner drains for 15 s at most; the rest is margin for a loaded machine. */
const limitMs = 25_000;

export const downCommand = (): Command =>
  withTarget(new Command('down'))
    .description('stop a running platform and wait until it is gone')
    .option('--force', 'as Ctrl-C: whoever has not written its entries within 0.8 s loses them')
    .action(async ({ name, json, force }: { name: string; json?: true; force?: true }) => {
      const { ControlClient } = await import('../../run/control-client.ts');
      const { findRun } = await import('../../run/run-file.ts');
      await ControlClient.connect(name).stop(force);
      const deadline = Date.now() + limitMs;
      while (findRun(name)) {
        if (Date.now() > deadline)
          throw new OrchestratorError('STOP_TIMED_OUT', `"${name}" still runs after ${limitMs / 1000} s.`);
        await sleep(20);
      }
      if (json) printJson({ name, stopped: true });
      else printLine(`Stopped "${name}".`);
    });
