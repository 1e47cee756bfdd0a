import { Command } from 'commander';
import type { InstanceAction } from '../../run/control-client.ts';
import { wholeNumber, withTarget } from '../options.ts';
import { printJson, printLine } from '../output.ts';

interface ActionOptions {
  readonly name: string;
  readonly json?: true;
  readonly force?: true;
  readonly timeout?: number;
}

const descriptions: Readonly<Record<InstanceAction, string>> = {
  restart: 'drain instances and start them again, one after the other',
  start: 'start instances that are not running',
  stop: 'drain instances and leave them stopped',
  kill: 'end instances at once (SIGKILL): a fault to try',
  pause: 'stop instances in their tracks (SIGSTOP): a fault to try',
  resume: 'let paused instances go on',
};

const actionCommand = (action: InstanceAction): Command => {
  const command = withTarget(new Command(action))
    .description(descriptions[action])
    .argument('<instances...>', 'cache-0, or a service for all of its instances: cache');
  if (action === 'restart' || action === 'stop') {
    command
      .option('--timeout <ms>', 'how long an instance may drain', wholeNumber)
      .option('--force', 'kill what has not ended by then; otherwise it is left running');
  }
  return command.action(async (names: string[], options: ActionOptions) => {
    const { ControlClient } = await import('../../run/control-client.ts');
    const client = ControlClient.connect(options.name);
    const { instances } = await client.status();
    const chosen = names.flatMap((name) => {
      const ofService = instances.filter(({ service }) => service === name).map((instance) => instance.name);
      return ofService.length > 0 ? ofService : [name];
    });
    const results: { name: string; state: string }[] = [];
    for (const name of chosen) {
      const result = await client.act(name, action, {
        ...(options.force && { force: true }),
        ...(options.timeout !== undefined && { timeoutMs: options.timeout }),
      });
      results.push(result);
      if (!options.json) printLine(`${result.name} is ${result.state}`);
    }
    if (options.json) printJson(results);
  });
};

const actions = ['restart', 'start', 'stop', 'kill', 'pause', 'resume'] as const;

export const instanceCommands: readonly (() => Command)[] = actions.map((action) => () => actionCommand(action));
