import { OrchestratorError } from '../errors.ts';
import { http } from '../process/http.ts';
import type { Run } from '../run/run-file.ts';
import { parseMetrics, sumOf } from '../telemetry/prometheus.ts';
import type { LoadOptions } from './options.ts';

export type Target = Pick<LoadOptions, 'urls'> & Required<Pick<LoadOptions, 'evictions'>>;

const metric = 'bimetal_cache_evictions';

/** The gateways of a run behind their fixed address, and how many entries its nodes evicted from the namespaces. */
export const targetOf = (
  { name, endpoints, instances }: Pick<Run, 'name' | 'endpoints' | 'instances'>,
  namespaces: readonly string[],
): Target => {
  const gateway = endpoints['gateway.http'];
  if (gateway === undefined) throw new OrchestratorError('NOT_RUNNING', `The platform "${name}" has no gateway yet.`);
  const urls = [`http://${gateway}`];
  const nodes = Object.entries(instances).flatMap(([instance, { addresses }]) =>
    instance.startsWith('cache-') && addresses['admin'] !== undefined ? [`http://${addresses['admin']}`] : [],
  );
  const evictions = async (): Promise<number> => {
    const counts = await Promise.all(nodes.map((url) => evictionsOf(url, namespaces)));
    return counts.reduce((sum, count) => sum + count, 0);
  };
  return { urls, evictions };
};

/** A node that does not answer has evicted nothing that anybody knows of. */
const evictionsOf = async (url: string, namespaces: readonly string[]): Promise<number> => {
  const answer = await http(`${url}/metrics`).catch(() => undefined);
  if (answer?.status !== 200) return 0;
  const samples = parseMetrics(answer.body.toString());
  const mine = (labels: Readonly<Record<string, string>>): boolean => namespaces.includes(labels['namespace'] ?? '');
  return sumOf(samples, metric, mine) ?? sumOf(samples, `${metric}_total`, mine) ?? 0;
};
