import { setTimeout as sleep } from 'node:timers/promises';
import { ProcessState } from '../../../contract/ts/gen/bimetal/control/v1/control_service.ts';
import type { Generation, LaunchChange } from '../drivers/generation.ts';
import type { Instance } from '../drivers/instance.ts';
import { messageOf, OrchestratorError } from '../errors.ts';
import { describe, drain, setTopology } from '../platform/control-calls.ts';
import { keyOwnedBy } from '../platform/first-request.ts';
import type { Platform } from '../platform/platform.ts';
import { controlAddress } from '../platform/wiring.ts';
import { judgeCanary, runCanary } from './canary.ts';
import type { RolloutLimits } from './limits.ts';
import { judgeTraffic, readTraffic } from './traffic.ts';

export interface ReplaceOptions {
  readonly change: LaunchChange;
  readonly limits: RolloutLimits;
  readonly signal: AbortSignal;
  /** Look at the new generation before and after callers' requests go to it. A roll-back does not. */
  readonly watched: boolean;
  /** One short line for each step. */
  readonly say: (step: string) => void;
}

/** The step from which on callers reach the new generation. The former one may still be draining. */
export const serves = 'serves';

/** The new generation did not hold, and why. */
export class Rejected extends Error {
  /** Callers' requests went to it already: the former build has to be brought back. */
  readonly moved: boolean;

  constructor(reason: string, moved: boolean, cause?: unknown) {
    super(reason, { cause });
    this.name = 'Rejected';
    this.moved = moved;
  }
}

/** Start first: the new generation is ready before the former one is drained. Rejects with Rejected. */
export const replace = async (platform: Platform, instance: Instance, options: ReplaceOptions): Promise<void> => {
  if (!instance.isUp) {
    throw new OrchestratorError('USAGE', `${instance.name} is ${instance.state}: \`./bimetal start\` starts it.`);
  }
  if (instance.spec.spec.edge) {
    throw new OrchestratorError(
      'USAGE',
      'The edge has the fixed ports, so a second one cannot stand beside it; --force restarts it and breaks its connections.',
    );
  }
  return instance.spec.spec.node
    ? replaceNode(platform, instance, options)
    : replaceStateless(platform, instance, options);
};

const replaceStateless = async (platform: Platform, instance: Instance, options: ReplaceOptions): Promise<void> => {
  const { change, limits, signal, watched, say } = options;
  const next = await startNext(instance, change, limits);
  let before: Awaited<ReturnType<typeof readTraffic>> | undefined;
  try {
    await next.whenReady(limits.readyMs);
    await platform.admit({ name: instance.name, probeUrl: next.probeUrl });
    say('ready');
    if (watched) await tryCanary(instance, next, options);
    if (watched && instance.service === 'gateway') before = await readTraffic(next.probeUrl);
    signal.throwIfAborted();
  } catch (error) {
    await next.kill();
    throw rejected(error, false);
  }
  const former = instance.adopt(next);
  await platform.wiring.publishRoutes();
  say(serves);
  const retired = former?.stop() ?? Promise.resolve();
  retired.catch(() => {});
  if (before) await watchTraffic(next, before, options);
  if (watched && !next.running) throw new Rejected('it ended while it served', true);
  await retired;
  say('the former one is drained');
};

const startNext = async (instance: Instance, change: LaunchChange, { readyMs }: RolloutLimits): Promise<Generation> => {
  try {
    return await instance.startNext(change, readyMs);
  } catch (error) {
    throw rejected(error, false);
  }
};

const rejected = (error: unknown, moved: boolean): Error =>
  error instanceof Rejected ? error : new Rejected(messageOf(error), moved, error);

/** The present generation gets the same requests at the same time: on a busy machine both are slow. */
const tryCanary = async (
  instance: Instance,
  next: Generation,
  { limits, signal, say }: ReplaceOptions,
): Promise<void> => {
  const { canary } = instance.spec.spec;
  if (!canary) return;
  const urlAt = (addresses: Instance['addresses']): string => `http://${addresses[canary.port]}${canary.path}`;
  const [result, baseline] = await Promise.all([
    runCanary(urlAt(next.addresses), limits.canaryMs, signal),
    runCanary(urlAt(instance.addresses), limits.canaryMs, signal),
  ]);
  const reason = judgeCanary(result, baseline, limits);
  if (reason !== undefined) throw new Rejected(reason, false);
  say(
    `canary: ${result.requests} requests, p99 ${result.p99Ms.toFixed(1)} ms (present ${baseline.p99Ms.toFixed(1)} ms)`,
  );
};

/** Callers move as the former generation tells them to; whoever does is watched from then on. */
const watchTraffic = async (
  next: Generation,
  before: Awaited<ReturnType<typeof readTraffic>>,
  { limits, signal }: ReplaceOptions,
): Promise<void> => {
  const until = performance.now() + limits.watchMs;
  while (performance.now() < until) {
    await sleep(Math.min(250, limits.watchMs));
    const after = await readTraffic(next.probeUrl).catch((error: unknown) => {
      throw new Rejected(`it does not tell its metrics: ${messageOf(error)}`, true);
    });
    const reason = judgeTraffic(before, after, limits);
    if (reason !== undefined) throw new Rejected(reason, true);
    if (signal.aborted) throw new Rejected('aborted', true);
  }
};

const replaceNode = async (platform: Platform, instance: Instance, options: ReplaceOptions): Promise<void> => {
  const { change, limits, signal, watched, say } = options;
  const port = instance.spec.spec.node?.port ?? '';
  const from = instance.innerAddresses[port];
  const next = await startNext(instance, { ...change, once: { ...change.once, HAND_OVER_FROM: from } }, limits);
  const control = next.addresses[port] ?? '';
  try {
    await platform.admit({ name: instance.name, probeUrl: next.probeUrl });
    await whenCaughtUp(next, control, options);
    say('caught up');
    signal.throwIfAborted();
    await takeOver(platform, instance, next, control);
  } catch (error) {
    await next.kill();
    await startEmptyIfLost(platform, instance, say);
    throw rejected(error, false);
  }
  const former = instance.adopt(next);
  // No key has another owner: whoever cannot be told now finds the new address by the former one's refusal.
  await platform.wiring
    .publishTopology(platform.wiring.topology)
    .catch((error: unknown) => say(`not everybody was told of its address: ${messageOf(error)}`));
  await platform.wiring.publishRoutes();
  say(serves);
  if (former) await retireNode(platform, former, port);
  say('the former one has ended');
  if (watched && !next.running) throw new Rejected('it ended while it served', true);
  if (watched) await watchNode(platform, instance, limits, signal);
};

/** It may take as long as it likes, as long as something comes. */
const whenCaughtUp = async (next: Generation, control: string, { limits, signal }: ReplaceOptions): Promise<void> => {
  let bytes = -1n;
  let movedAt = performance.now();
  for (;;) {
    signal.throwIfAborted();
    if (!next.running) throw new Rejected('it ended before it had caught up', false);
    const { state, handOver } = await describe(control, 1000).catch(() => ({ state: undefined, handOver: undefined }));
    if (state === ProcessState.CAUGHT_UP) return;
    if (handOver !== undefined && handOver.bytes !== bytes) {
      bytes = handOver.bytes;
      movedAt = performance.now();
    }
    if (performance.now() - movedAt > limits.readyMs) {
      throw new Rejected(`it had not caught up, and nothing had come, for ${limits.readyMs / 1000} s`, false);
    }
    await sleep(10);
  }
};

/** One point in the order of writes: before it the former process owns the node's keys, after it the new one does. */
const takeOver = async (platform: Platform, instance: Instance, next: Generation, control: string): Promise<void> => {
  const { wiring, runToken: token } = platform;
  const port = instance.spec.spec.node?.port ?? '';
  const topology = wiring.nextTopology(new Map([[instance.name, next.innerAddresses[port] ?? '']]));
  // Whatever comes of it, the epoch has been said.
  const former = wiring.topology;
  wiring.assume(topology);
  try {
    await setTopology(control, topology, { token, timeoutMs: 15_000 });
  } catch (error) {
    // The answer may have been lost: what the process says of itself decides.
    const { state } = await describe(control, 2000).catch(() => ({ state: undefined }));
    if (state === ProcessState.SERVING) return;
    wiring.assume({ ...former, epoch: topology.epoch });
    throw error;
  }
};

/** Between letting go and being taken over from, either process may have died: then nobody has the node's entries. */
const startEmptyIfLost = async (platform: Platform, instance: Instance, say: (step: string) => void): Promise<void> => {
  const { state } = await describe(controlAddress(instance), 2000).catch(() => ({ state: undefined }));
  // A process that is stopped in its tracks says nothing, and goes on when it is continued.
  if (state !== ProcessState.HANDED_OVER && instance.state !== 'failed') return;
  say('its entries are lost; it starts empty');
  await instance.kill();
  await instance.start();
  await platform.wiring.publishTopology(platform.wiring.nextTopology());
  await platform.wiring.publishRoutes();
};

/** It answers WRONG_NODE to whoever has not followed yet, for a moment, and has nothing else to do. */
const retireNode = async (platform: Platform, former: Generation, port: string): Promise<void> => {
  await drain(former.addresses[port] ?? '', 0.5, { token: platform.runToken }).catch(() => {});
  await former.stop();
};

/** The node's own keys, through a gateway, as callers see them; another node's at the same time, to compare with. */
const watchNode = async (
  platform: Platform,
  instance: Instance,
  limits: RolloutLimits,
  signal: AbortSignal,
): Promise<void> => {
  const [gateway] = platform.instancesOf('gateway');
  if (gateway?.state !== 'ready') return;
  const readsOf = (node: string) =>
    runCanary(
      `${gateway.url('http')}/v1/cache/default/${keyOwnedBy(node, platform.topology.nodes)}`,
      limits.canaryMs,
      signal,
    );
  const other = platform.topology.nodes.find(({ name }) => name !== instance.name);
  const [result, baseline] = await Promise.all([readsOf(instance.name), other && readsOf(other.name)]).catch(() => {
    throw new Rejected('aborted', true);
  });
  const reason = judgeCanary(result, baseline, limits);
  if (reason !== undefined) throw new Rejected(reason, true);
};
