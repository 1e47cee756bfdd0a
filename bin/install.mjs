// Installs the packages of package-lock.json when they are not there yet, once for any number of commands that
// start at the same moment.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const staleLockMs = 10 * 60_000;

const readIfThere = (file) => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
};

const wantedStamp = (root) => {
  const hash = createHash('sha256').update(`${process.platform}-${process.arch}\n`);
  return hash.update(readFileSync(join(root, 'package-lock.json'))).digest('hex');
};

/** Resolves to whether the packages are there. */
export const installPackages = async (root) => {
  const stampFile = join(root, 'node_modules', '.bimetal-stamp');
  const wanted = wantedStamp(root);
  const installed = () => readIfThere(stampFile) === wanted;
  if (installed()) return true;

  const release = await takeLock(join(root, '.bimetal', 'install.lock'), installed);
  try {
    if (installed()) return true;
    if (!(await runNpmCi(root))) return false;
    writeFileSync(stampFile, wanted);
    return true;
  } finally {
    release();
  }
};

/** A folder is the lock: making one is atomic everywhere. The pid inside tells a lock whose owner died. */
const takeLock = async (folder, noLongerNeeded) => {
  mkdirSync(join(folder, '..'), { recursive: true });
  let told = false;
  for (;;) {
    try {
      mkdirSync(folder);
      writeFileSync(join(folder, 'pid'), String(process.pid));
      return () => rmSync(folder, { recursive: true, force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (noLongerNeeded()) return () => {};
    if (isStale(folder)) {
      rmSync(folder, { recursive: true, force: true });
      continue;
    }
    if (!told) process.stderr.write('Another command is installing the packages: waiting for it.\n');
    told = true;
    await sleep(200);
  }
};

const isStale = (folder) => {
  try {
    if (Date.now() - statSync(folder).mtimeMs > staleLockMs) return true;
    const pid = Number(readIfThere(join(folder, 'pid')));
    if (pid > 0) process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
};

const runNpmCi = async (root) => {
  const started = Date.now();
  const seconds = () => `${Math.round((Date.now() - started) / 1000)} s`;
  process.stderr.write('Installing packages (only after a change of package-lock.json) …\n');
  const moving = setInterval(() => process.stderr.write(`  still installing, ${seconds()}\n`), 5000);
  const code = await npmCi(root);
  clearInterval(moving);
  if (code === 0) process.stderr.write(`Packages installed in ${seconds()}.\n`);
  else process.stderr.write(`npm ci failed (exit ${code}); its message is above. Nothing was started.\n`);
  return code === 0;
};

/** Stays in our process group: whatever ends the group, a Ctrl-C or worse, ends npm too. */
const npmCi = (root) =>
  new Promise((resolve) => {
    const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
    const execPath = process.env.npm_execpath;
    const [command, prefix] = execPath?.endsWith('.js') ? [process.execPath, [execPath]] : ['npm', []];
    const child = spawn(command, [...prefix, ...args], {
      cwd: root,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const stop = (signal) => {
      child.kill(signal);
      // npm tidies up for a long time; what it leaves is installed anew by the next command.
      setTimeout(() => child.kill('SIGKILL'), 300).unref();
    };
    process.once('SIGINT', stop).once('SIGTERM', stop).once('SIGHUP', stop);
    child.on('error', (error) => {
      process.stderr.write(`Cannot run npm: ${error.message}\n`);
      resolve(1);
    });
    child.on('exit', (code, signal) => {
      for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(name, stop);
      resolve(code ?? signal);
    });
  });
