import { ownerOf } from '../../../contract/ts/ownership.ts';
import type { Instance } from '../drivers/instance.ts';
import { OrchestratorError } from '../errors.ts';
import { serviceOf } from '../model/instances.ts';
import type { Topology } from '../model/types.ts';
import type { Platform } from '../platform/platform.ts';

export interface ScaleReport {
  readonly service: string;
  readonly from: number;
  readonly to: number;
  /** Of the cache: the share of keys that have another owner now, 0 to 1, of a sample. Absent for other services. */
  readonly movedKeys?: number;
  /** Entries that the nodes erased because another one owns their keys now. */
  readonly erasedEntries?: string;
  readonly totalMs: number;
}

export interface ScaleOptions {
  readonly service: string;
  readonly replicas: number;
  readonly onEvent?: (event: ScaleEvent) => void;
}

export interface ScaleEvent {
  /** Milliseconds since it began. */
  readonly ms: number;
  readonly step: string;
}

/** Tags have 10 bits, and 0 is no tag; more than this on one machine is a slip of the hand. */
const mostReplicas = 64;

/** Adds or removes instances while the platform serves. Of the cache, it is the newest nodes that come and go. */
export const scale = (platform: Platform, { service, replicas, onEvent }: ScaleOptions): Promise<ScaleReport> =>
  platform.changing(`scaling ${service}`, async () => {
    const started = performance.now();
    const elapsed = (): number => Math.round(performance.now() - started);
    const say = (step: string): void => {
      platform.logs.say('info', `scaling ${service} to ${replicas}: ${step}`);
      onEvent?.({ ms: elapsed(), step });
    };
    const spec = serviceOf(platform.model, service);
    if (spec.edge || spec.runs !== 'instance') {
      throw new OrchestratorError('USAGE', `There is one ${service}: it cannot be scaled.`);
    }
    if (!Number.isInteger(replicas) || replicas < 1 || replicas > mostReplicas) {
      throw new OrchestratorError('USAGE', `${service} can have 1 to ${mostReplicas} instances, not ${replicas}.`);
    }
    const from = spec.replicas;
    const before = platform.topology;
    const grown = platform.resize(service, Math.max(from, replicas)).filter(({ state }) => state === 'pending');
    try {
      await start(platform, grown);
    } catch (error) {
      await Promise.allSettled(grown.map((instance) => instance.kill()));
      platform.resize(service, from);
      throw error;
    }
    if (grown.length > 0) say(`${namesOf(grown)} started`);
    const leaving = platform.instancesOf(service).slice(replicas);
    platform.resize(service, replicas);
    const erased = spec.node ? await moveKeys(platform, grown, leaving) : undefined;
    await platform.wiring.publishRoutes();
    if (spec.node) say(`epoch ${platform.topology.epoch}`);
    await Promise.all(leaving.map((instance) => instance.stop()));
    if (leaving.length > 0) say(`${namesOf(leaving)} ended`);
    return {
      service,
      from,
      to: replicas,
      ...(erased !== undefined && {
        movedKeys: movedShare(before, platform.topology),
        erasedEntries: String(erased),
      }),
      totalMs: elapsed(),
    };
  });

const namesOf = (instances: readonly Instance[]): string => instances.map(({ name }) => name).join(', ');

/** A new node knows the present topology, in which it has no place: it owns nothing yet. */
const start = async (platform: Platform, instances: readonly Instance[]): Promise<void> => {
  const results = await Promise.allSettled(instances.map((instance) => instance.start()));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  for (const { name, probeUrl } of instances) await platform.admit({ name, probeUrl });
};

/** Those who lose keys refuse them, and have erased them, before anybody else serves them. */
const moveKeys = (platform: Platform, gaining: readonly Instance[], leaving: readonly Instance[]): Promise<bigint> => {
  const nodes = platform.instances.filter(({ spec }) => spec.spec.node);
  const staying = nodes.filter((node) => !gaining.includes(node) && !leaving.includes(node));
  const order = leaving.length > 0 ? [leaving, staying] : [staying, gaining];
  return platform.wiring.publishTopology(platform.wiring.nextTopology(), order);
};

const sample = 20_000;

const movedShare = (before: Topology, after: Topology): number => {
  let moved = 0;
  for (let i = 0; i < sample; i += 1) {
    const key = `sample-${i}`;
    if (ownerOf(before.nodes, 'default', key)?.name !== ownerOf(after.nodes, 'default', key)?.name) moved += 1;
  }
  return moved / sample;
};
