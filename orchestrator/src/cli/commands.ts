import type { Command } from 'commander';
import { callCommand } from './commands/call.ts';
import { doctorCommand } from './commands/doctor.ts';
import { downCommand } from './commands/down.ts';
import { emitCommand } from './commands/emit.ts';
import { deleteCommand, getCommand, putCommand } from './commands/entries.ts';
import { instanceCommands } from './commands/instances.ts';
import { loadCommand } from './commands/load.ts';
import { logsCommand } from './commands/logs.ts';
import { observeCommand } from './commands/observe.ts';
import { rolloutCommand } from './commands/rollout.ts';
import { scaleCommand } from './commands/scale.ts';
import { scriptCommands } from './commands/scripts.ts';
import { statusCommand } from './commands/status.ts';
import { testCommand } from './commands/test.ts';
import { devCommand, upCommand } from './commands/up.ts';

/** In the order of the help text. Each loads what it needs only when it runs: a start must be quick. */
export const commands: readonly (() => Command)[] = [
  upCommand,
  devCommand,
  downCommand,
  statusCommand,
  logsCommand,
  ...instanceCommands,
  rolloutCommand,
  scaleCommand,
  getCommand,
  putCommand,
  deleteCommand,
  callCommand,
  loadCommand,
  testCommand,
  doctorCommand,
  emitCommand,
  observeCommand,
  ...scriptCommands,
];
