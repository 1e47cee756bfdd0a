// A load of every kind for minutes: every answer right, memory of the processes where it was.
import { readFile } from 'node:fs/promises';
import { startPlatform } from '../../orchestrator/src/index.ts';
import { isClean, startLoad, tableOf } from '../../orchestrator/src/load/index.ts';
import { failed, type Part, passed } from './part.ts';

const rate = 500;

const residentMiB = async (pid: number | undefined): Promise<number> => {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Math.round(Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024);
};

export const soak: Part = {
  name: 'Soak: every kind of request, every answer judged',
  run: async (minutes, signal) => {
    await using platform = await startPlatform({
      name: 'deep-soak',
      ports: 'free',
      driver: 'process',
      quiet: true,
      signal,
    });
    const memory = async (): Promise<string> => {
      const each = platform.instances.map(async ({ name, pid }) => `${name} ${await residentMiB(pid)}`);
      return (await Promise.all(each)).join(', ');
    };
    const load = startLoad({
      urls: [platform.instance('gateway-0').url('http')],
      steps: [{ rate, seconds: minutes * 60 }],
      mix: { read: 70, write: 20, cas: 5, increment: 5 },
      keys: 5_000,
      namespaces: ['demo', 'default'],
      skew: { kind: 'zipf', exponent: 0.99 },
      sizes: [
        { bytes: 64, weight: 70 },
        { bytes: 1_024, weight: 25 },
        { bytes: 65_536, weight: 4 },
        { bytes: 524_288, weight: 1 },
      ],
      signal,
    });
    await load.ready;
    const first = await memory();
    await load.ended;
    const last = await memory();
    const report = await load.stop();
    const { p50, p99, max } = report.latency;
    const figures = [
      `${report.sent.toLocaleString('en-US')} requests in ${report.seconds.toFixed(0)} s: ${report.failed.total} failed, ${report.lost.total} lost, ${report.stale.total} stale, ${report.wrong.total} wrong; p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)}, max ${max.toFixed(0)} ms`,
      `resident MiB: ${first} → ${last}`,
    ];
    return isClean(report) ? passed(figures) : failed(figures, [tableOf(report)]);
  },
};
