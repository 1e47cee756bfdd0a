import { OrchestratorError } from '../errors.ts';
import type { Window } from './windows.ts';

/** What a request of the load does. */
export const kinds = ['read', 'write', 'cas', 'increment'] as const;
export type Kind = (typeof kinds)[number];

export const isKind = (text: string): text is Kind => (kinds as readonly string[]).includes(text);

/** Weights of the kinds; they need not sum to 100. */
export type Mix = Readonly<Record<Kind, number>>;

export interface Step {
  /** Requests a second. */
  readonly rate: number;
  /** Infinity: until it is stopped. */
  readonly seconds: number;
}

/** A size of values and how often it is taken beside the others. */
export interface Size {
  readonly bytes: number;
  readonly weight: number;
}

/** How reads and writes spread over the keys: evenly, or so that rank r is asked for in proportion to r^-exponent. */
export type Skew = { readonly kind: 'uniform' } | { readonly kind: 'zipf'; readonly exponent: number };

export interface LoadOptions {
  /** Base URLs of gateways, asked in turn. */
  readonly urls: readonly string[];
  /** Requests a second until `stop`. Default 1,000. */
  readonly rate?: number;
  /** Steps instead of one rate; the load ends by itself after the last. */
  readonly steps?: readonly Step[];
  /** Default: 80 reads, 16 writes, 2 of cas, 2 increments. A kind that is left out is 0. */
  readonly mix?: Partial<Mix>;
  /** How many keys; a tenth of them are counters if the mix has increments. Default 1,000. */
  readonly keys?: number;
  /** Keys take turns in these. Default `demo`. */
  readonly namespaces?: readonly string[];
  /** Only keys for which this holds, as those that one node owns. Default: all. */
  readonly accepts?: (namespace: string, key: string) => boolean;
  readonly skew?: Skew;
  /** Of the values that writes send. Default 256 bytes. */
  readonly sizes?: readonly Size[];
  /** Writes carry an Idempotency-Key, and one whose outcome is unknown, or that was not begun, is repeated. */
  readonly idempotent?: boolean;
  /** Connections to each gateway at the most. Default 512. */
  readonly connections?: number;
  /** A request that is due while so many wait for their answers is counted as not sent. Default 2,000, or 4 × connections. */
  readonly maxInFlight?: number;
  /** Without an answer for so long, a request has failed. Default 10,000. */
  readonly timeoutMs?: number;
  /** An answer is late when it comes so long after the time at which its request was due. Default 1,000. */
  readonly lateMs?: number;
  /** For so long, what fails before and after the load proper is tried again. Default 10,000. */
  readonly patienceMs?: number;
  /** The same seed makes the same requests. Default 1. */
  readonly seed?: number;
  /**
   * Nodes come or go meanwhile: a key whose owner changes begins anew there. What is not there any more is counted as
   * moved, not as lost; something older is as wrong as ever.
   */
  readonly ownersMayChange?: boolean;
  /** How many entries of the namespaces were evicted so far: what is missing for that reason is not lost. */
  readonly evictions?: () => Promise<number>;
  /** Called with each window of 100 ms when it is over; the last one may be shorter. */
  readonly onSample?: (window: Window) => void;
  /** Ends the load like `stop`. */
  readonly signal?: AbortSignal;
}

type Given = 'accepts' | 'evictions' | 'onSample' | 'signal';

/** All that is optional, with what was not given filled in. */
export type Settings = Required<Omit<LoadOptions, Given | 'rate' | 'mix'>> &
  Pick<LoadOptions, Given> & { readonly mix: Mix };

const defaultMix: Mix = { read: 80, write: 16, cas: 2, increment: 2 };
const noMix: Mix = { read: 0, write: 0, cas: 0, increment: 0 };

export const maxValueBytes = 8 * 1024 * 1024;

const refuse = (message: string): never => {
  throw new OrchestratorError('USAGE', message);
};

const positive = (name: string, value: number): void => {
  if (!(value > 0)) refuse(`${name} is ${value}; it has to be above 0.`);
};

export const settle = (options: LoadOptions): Settings => {
  const { rate = 1_000, steps = [{ rate, seconds: Number.POSITIVE_INFINITY }], connections = 512 } = options;
  const settings: Settings = {
    skew: { kind: 'uniform' },
    keys: 1_000,
    namespaces: ['demo'],
    sizes: [{ bytes: 256, weight: 1 }],
    idempotent: false,
    ownersMayChange: false,
    maxInFlight: Math.max(2_000, 4 * connections),
    timeoutMs: 10_000,
    lateMs: 1_000,
    patienceMs: 10_000,
    seed: 1,
    ...options,
    steps,
    connections,
    mix: options.mix ? { ...noMix, ...options.mix } : defaultMix,
  };
  if (settings.urls.length === 0) refuse('A load needs the URL of a gateway.');
  if (settings.namespaces.length === 0) refuse('A load needs a namespace.');
  for (const step of settings.steps) {
    positive('The rate', step.rate);
    positive('The length of a step in seconds', step.seconds);
  }
  for (const name of ['keys', 'connections', 'maxInFlight', 'timeoutMs', 'lateMs'] as const)
    positive(name, settings[name]);
  const weights = Object.values(settings.mix);
  if (weights.some((weight) => !(weight >= 0)) || !weights.some((weight) => weight > 0))
    refuse('The mix needs a weight above 0, and none below.');
  if (settings.mix.increment > 0 && settings.keys < 2) refuse('A mix with increments needs at least two keys.');
  for (const { bytes, weight } of settings.sizes) {
    if (!(bytes >= 0 && bytes <= maxValueBytes)) refuse(`A value has at most ${maxValueBytes} bytes, not ${bytes}.`);
    positive('The weight of a size', weight);
  }
  return settings;
};
