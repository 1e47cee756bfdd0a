import { Socket } from 'node:net';

/** When bin/run.mjs began, in Unix milliseconds. Taken out of the environment: no child is to inherit it. */
export const startedAt = Number(process.env['BIMETAL_STARTED_AT'] ?? performance.timeOrigin);
delete process.env['BIMETAL_STARTED_AT'];

/**
 * bin/run.mjs holds a pipe open as long as it lives. When it was killed, nobody waits for us any more: that counts as
 * a request to stop.
 */
export const watchBootstrap = (): void => {
  const fd = process.env['BIMETAL_BOOTSTRAP_FD'];
  if (fd === undefined) return;
  delete process.env['BIMETAL_BOOTSTRAP_FD'];
  const pipe = new Socket({ fd: Number(fd), readable: true, writable: false });
  pipe.on('error', () => {}).on('close', () => process.kill(process.pid, 'SIGTERM'));
  pipe.resume();
  // It must not keep a command alive that has done its work.
  pipe.unref();
};
