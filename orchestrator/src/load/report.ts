import { failures } from '../errors.ts';
import type { Latency } from './latency.ts';
import type { Kind, Settings } from './options.ts';
import type { Incident, Recorder } from './recorder.ts';
import type { StepReading } from './step-meters.ts';
import type { Window } from './windows.ts';

/** A total, and by reason. */
export interface Count {
  readonly total: number;
  readonly byReason: Readonly<Record<string, number>>;
}

export interface LoadReport {
  readonly startedAt: string;
  readonly seconds: number;
  readonly options: Readonly<Record<string, unknown>>;
  readonly sent: number;
  /** Requests that ended, also those that failed. */
  readonly answered: number;
  readonly failed: Count;
  /** Answered, but later than `lateMs` after it was due. Counted beside the others: a late answer may have failed, too. */
  readonly late: Count;
  /** Due, and not sent. */
  readonly notSent: Count;
  /** Acknowledged writes that are gone. */
  readonly lost: Count;
  /** Gone with a change of owners, where that was announced; not in `lost`. */
  readonly moved: Count;
  readonly stale: Count;
  readonly wrong: Count;
  /** Entries that are gone by eviction, as the nodes count it; they are not in `lost`. Absent: not asked. */
  readonly evicted: number | undefined;
  /** Attempts that were repeated under their Idempotency-Key; the operations count by how they ended. */
  readonly retried: Count;
  /** Compare-and-swaps refused because an earlier write, whose outcome was unknown, had taken effect. */
  readonly conflicts: number;
  /** Keys that could not be read at the end. */
  readonly unverified: number;
  /** Keys that could not be removed at the end. */
  readonly notSwept: number;
  /** From the time at which a request was due. */
  readonly latency: Latency;
  readonly latencyByKind: Readonly<Record<Kind, Latency & { readonly answered: number }>>;
  /** How long the load itself stood still: latencies are not better known than this. */
  readonly stalls: Latency;
  readonly steps: readonly StepReading[];
  readonly incidents: readonly Incident[];
  readonly windows: readonly Window[];
}

export interface Ended {
  readonly settings: Settings;
  readonly recorder: Recorder;
  readonly seconds: number;
  readonly steps: readonly StepReading[];
  readonly unverified: number;
  readonly evicted: number | undefined;
  readonly notSwept: number;
  readonly startedAt: Date;
}

const optionsOf = ({ accepts, steps, evictions: _e, onSample: _o, signal: _s, ...plain }: Settings) => ({
  ...plain,
  steps: steps.map(({ rate, seconds }) => ({ rate, seconds: Number.isFinite(seconds) ? seconds : 'until stopped' })),
  onlySomeKeys: accepts !== undefined,
});

export const reportOf = ({
  settings,
  recorder,
  seconds,
  steps,
  unverified,
  evicted,
  notSwept,
  startedAt,
}: Ended): LoadReport => {
  const { failed, late, notSent, lost, moved, stale, wrong, retried } = recorder;
  const count = ({ total, byReason }: Count): Count => ({ total, byReason });
  const explained = Math.min(evicted ?? 0, lost.total);
  return {
    startedAt: startedAt.toISOString(),
    seconds,
    options: optionsOf(settings),
    sent: recorder.sent,
    answered: recorder.answered,
    failed: count(failed),
    late: count(late),
    notSent: count(notSent),
    lost: { total: lost.total - explained, byReason: lost.byReason },
    moved: count(moved),
    stale: count(stale),
    wrong: count(wrong),
    evicted: evicted === undefined ? undefined : explained,
    retried: count(retried),
    conflicts: recorder.conflicts,
    unverified,
    notSwept,
    latency: recorder.all.latency,
    latencyByKind: {
      read: kindOf(recorder, 'read'),
      write: kindOf(recorder, 'write'),
      cas: kindOf(recorder, 'cas'),
      increment: kindOf(recorder, 'increment'),
    },
    stalls: recorder.stalls.latency,
    steps,
    incidents: recorder.incidents,
    windows: recorder.windows.all,
  };
};

const kindOf = ({ byKind }: Recorder, kind: Kind): Latency & { readonly answered: number } => ({
  answered: byKind[kind].count,
  ...byKind[kind].latency,
});

/** Whether every request was answered, and every answer was right. Late answers are answers. */
export const isClean = ({ failed, notSent, lost, stale, wrong, unverified }: LoadReport): boolean =>
  failed.total + notSent.total + lost.total + stale.total + wrong.total + unverified === 0;

export const exitCodeOf = (report: LoadReport): number => (isClean(report) ? 0 : failures.LOAD_FAILED.exitCode);
