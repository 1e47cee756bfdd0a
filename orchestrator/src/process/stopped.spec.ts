import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { whenStopped } from './stopped.ts';

const program = `
  const { Worker } = require('node:worker_threads');
  for (let i = 0; i < 3; i += 1) new Worker('for (;;);', { eval: true });
`;

/** R: it runs, or is about to. */
const statesOf = (pid: number): string[] =>
  readdirSync(`/proc/${pid}/task`).map((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
    return stat.charAt(stat.lastIndexOf(')') + 2);
  });

test('every thread of a process stands, however many are running when it is told to', async () => {
  const child = spawn(process.execPath, ['-e', program]);
  const pid = child.pid ?? 0;
  try {
    while (statesOf(pid).filter((state) => state === 'R').length < 3) await delay(10);
    for (let i = 0; i < 50; i += 1) {
      child.kill('SIGSTOP');
      await whenStopped(pid);
      expect(new Set(statesOf(pid))).toEqual(new Set(['T']));
      child.kill('SIGCONT');
      await delay(2);
    }
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  await whenStopped(pid); // nobody is there
}, 30_000);
