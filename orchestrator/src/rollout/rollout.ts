import type { Build, HeldBuild, LaunchChange } from '../drivers/generation.ts';
import type { Instance } from '../drivers/instance.ts';
import { messageOf, OrchestratorError } from '../errors.ts';
import type { Settings } from '../model/types.ts';
import type { Platform } from '../platform/platform.ts';
import { defaultLimits, type RolloutLimits } from './limits.ts';
import { Rejected, replace } from './replace.ts';

export interface RolloutOptions {
  /** `gateway`, or one instance: `cache-1`. */
  readonly target: string;
  /** `true`: build what changed first, and run that. Without it instances run what they run, on new settings. */
  readonly build?: Build | boolean;
  /** On top of the present ones, without the BIMETAL_ prefix; they stay for later starts. */
  readonly settings?: Settings;
  readonly limits?: Partial<RolloutLimits>;
  /** Aborts: what was replaced so far is rolled back. */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: RolloutEvent) => void;
}

export interface RolloutEvent {
  /** Milliseconds since the rollout began. */
  readonly ms: number;
  readonly instance: string | undefined;
  readonly step: string;
}

export interface RolloutReport {
  readonly target: string;
  readonly outcome: 'done' | 'rolled back';
  /** Why it was rolled back. */
  readonly reason: string | undefined;
  readonly replaced: readonly string[];
  readonly totalMs: number;
  readonly events: readonly RolloutEvent[];
}

/**
 * Replaces the instances of a service by a new build or new settings, one after the other, while the platform serves.
 * A generation that does not start, does not fit, or does not hold its limits is never left in service: the rollout
 * then puts the former one back in every instance and says so in its report. Throws only when nothing could be done,
 * or when the roll-back itself failed.
 */
export const rollOut = (platform: Platform, options: RolloutOptions): Promise<RolloutReport> =>
  platform.changing(`a rollout of ${options.target}`, async () => {
    const started = performance.now();
    const events: RolloutEvent[] = [];
    const tell = (step: string, instance?: Instance): void => {
      const event = { ms: Math.round(performance.now() - started), instance: instance?.name, step };
      events.push(event);
      platform.logs.say('info', `rollout of ${options.target}: ${instance ? `${instance.name}: ` : ''}${step}`);
      options.onEvent?.(event);
    };
    const instances = targetsOf(platform, options.target);
    using held = await buildOf(platform, instances, options, tell);
    const replaced: { instance: Instance; former: LaunchChange }[] = [];
    let reason: string | undefined;
    for (const instance of instances) {
      const former = instance.change;
      const change = { ...(held && { build: held.build }), settings: { ...former.settings, ...options.settings } };
      const one = { ...commonOf(options), change, watched: true, say: (step: string) => tell(step, instance) };
      try {
        await replace(platform, instance, one);
        replaced.push({ instance, former });
      } catch (error) {
        if (!(error instanceof Rejected)) throw error;
        reason = options.signal?.aborted ? 'aborted' : `${instance.name}: ${error.message}`;
        if (error.moved) replaced.push({ instance, former });
        break;
      }
    }
    if (reason !== undefined) {
      tell(`rolling back: ${reason}`);
      await rollBack(platform, replaced, options, tell);
    }
    tell(reason === undefined ? 'done' : 'rolled back');
    return {
      target: options.target,
      outcome: reason === undefined ? 'done' : 'rolled back',
      reason,
      replaced: replaced.map(({ instance }) => instance.name),
      totalMs: Math.round(performance.now() - started),
      events,
    };
  });

/** The same build and settings in a new process, start first. */
export const restart = (platform: Platform, instance: Instance): Promise<void> =>
  platform.changing(`a restart of ${instance.name}`, async () => {
    const options = { ...commonOf({ target: instance.name }), change: {}, watched: false };
    try {
      await replace(platform, instance, {
        ...options,
        say: (step) => platform.logs.say('info', `restart of ${instance.name}: ${step}`),
      });
    } catch (error) {
      if (!(error instanceof Rejected)) throw error;
      throw new OrchestratorError('UNHEALTHY', `${instance.name} was left as it was: ${error.message}`, {
        cause: error,
      });
    }
  });

const targetsOf = (platform: Platform, target: string): Instance[] => {
  const ofService = platform.instancesOf(target);
  return ofService.length > 0 ? ofService : [platform.instance(target)];
};

const commonOf = ({ limits, signal }: RolloutOptions) => ({
  limits: { ...defaultLimits, ...limits },
  signal: signal ?? new AbortController().signal,
});

const buildOf = async (
  platform: Platform,
  [first]: readonly Instance[],
  { build, signal }: RolloutOptions,
  tell: (step: string) => void,
): Promise<HeldBuild | undefined> => {
  // Whoever gave it holds it.
  if (typeof build === 'object') return { build, [Symbol.dispose]: () => {} };
  if (!build || !first) return undefined;
  const built = await platform.build(first.service, signal ?? new AbortController().signal, () => {});
  tell('built');
  return built;
};

/** Back to what each ran before; nothing can stop this but a process that does not start, which is an error. */
const rollBack = async (
  platform: Platform,
  replaced: readonly { readonly instance: Instance; readonly former: LaunchChange }[],
  options: RolloutOptions,
  tell: (step: string, instance?: Instance) => void,
): Promise<void> => {
  const { limits } = commonOf(options);
  const signal = new AbortController().signal;
  for (const { instance, former } of replaced.toReversed()) {
    const say = (step: string): void => tell(step, instance);
    try {
      if (instance.isUp) {
        await replace(platform, instance, { limits, signal, change: former, watched: false, say });
        continue;
      }
    } catch (error) {
      say(`it does not give way, and is ended: ${messageOf(error)}`);
      await instance.kill();
    }
    try {
      await instance.start(former);
      say(instance.spec.spec.node ? 'started again, empty' : 'started again');
    } catch (error) {
      throw new OrchestratorError('UNHEALTHY', `${instance.name} could not be rolled back.`, { cause: error });
    }
  }
};
