import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Processes of this machine whose environment or arguments carry the mark; zombies do not count. */
export const processesWith = (mark: string): string[] =>
  readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return [];
    try {
      const state = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.[0];
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
      const marked = command.includes(mark) || environment.includes(mark);
      return state !== 'Z' && marked ? [`${pid} ${command}`] : [];
    } catch {
      return [];
    }
  });

/** Containers and networks of a compose project; none where no engine is. */
export const engineLeftovers = (project: string): string[] => {
  const filter = ['--filter', `label=com.docker.compose.project=${project}`];
  try {
    return [
      ['ps', '--all', '--format', 'container {{.Names}}', ...filter],
      ['network', 'ls', '--format', 'network {{.Name}}', ...filter],
    ].flatMap((args) => execFileSync('docker', args, { encoding: 'utf8', stdio: 'pipe' }).split('\n').filter(Boolean));
  } catch {
    return [];
  }
};
