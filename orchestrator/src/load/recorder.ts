import { LatencyRecorder } from './latency.ts';
import { Meter } from './meter.ts';
import type { Operation, Verdict } from './operations.ts';
import type { Kind, Settings } from './options.ts';
import { Tally } from './tally.ts';
import { type Counted, type Window, Windows } from './windows.ts';

/** One thing that went wrong, for a person to look into. */
export interface Incident {
  /** Milliseconds since the begin: when the request was due. */
  readonly due: number;
  readonly what: 'failed' | 'lost' | 'stale' | 'wrong';
  readonly why: string;
  readonly kind: Kind;
  readonly namespace: string;
  readonly key: string;
}

/** Of each kind: many errors must not hide the one wrong answer. */
const maxIncidents = 20;

/** Milliseconds since the begin. */
export interface Times {
  readonly due: number;
  readonly sent: number;
  readonly end: number;
}

/** Everything that is counted while a load runs. Its memory does not grow with the load. */
export class Recorder {
  readonly #lateMs: number;
  readonly #ownersMayChange: boolean;
  readonly windows: Windows;
  readonly failed = new Tally();
  readonly late = new Tally();
  readonly lost = new Tally();
  /** Gone with a change of owners. */
  readonly moved = new Tally();
  readonly stale = new Tally();
  readonly wrong = new Tally();
  readonly notSent = new Tally();
  readonly retried = new Tally();
  readonly all = new LatencyRecorder();
  readonly byKind: Readonly<Record<Kind, LatencyRecorder>> = {
    read: new LatencyRecorder(),
    write: new LatencyRecorder(),
    cas: new LatencyRecorder(),
    increment: new LatencyRecorder(),
  };
  /** How long the load stood still between two looks at its clock. */
  readonly stalls = new LatencyRecorder();
  readonly incidents: Incident[] = [];
  readonly meters = new Set<Meter>();
  sent = 0;
  answered = 0;
  conflicts = 0;

  constructor({ lateMs, ownersMayChange, onSample }: Settings) {
    this.#lateMs = lateMs;
    this.#ownersMayChange = ownersMayChange;
    this.windows = new Windows((window: Window) => onSample?.(window));
  }

  meter(now: number): Meter {
    const meter = new Meter(now, (gone) => this.meters.delete(gone));
    this.meters.add(meter);
    return meter;
  }

  request(): void {
    this.sent += 1;
    this.#count('sent');
  }

  /** A request was due, and could not be sent. */
  skip(why: string): void {
    this.notSent.add(why);
    this.#count('notSent');
  }

  /** The end of a request, however it ended: with an answer or without. */
  result({ kind, place }: Operation, { failed, flaw, conflict }: Verdict, { due, sent, end }: Times): void {
    const latency = end - due;
    this.answered += 1;
    this.all.record(latency);
    this.byKind[kind].record(latency);
    this.windows.answered(latency);
    for (const meter of this.meters) meter.answered(latency);
    if (conflict) this.conflicts += 1;
    if (latency > this.#lateMs) {
      this.late.add(end - sent > this.#lateMs ? `no answer within ${this.#lateMs} ms` : 'sent late by the load itself');
      this.#count('late');
    }
    const problem = failed === undefined ? flaw : { kind: 'failed' as const, why: failed };
    if (problem === undefined || this.#isMove(problem)) return;
    this[problem.kind].add(problem.why);
    this.#count(problem.kind);
    this.#incident({
      due,
      what: problem.kind,
      why: problem.why,
      kind,
      namespace: place.namespace,
      key: place.cell.key,
    });
  }

  /** What was found after the end of the load. */
  finding({ kind, place }: Operation, { flaw }: Verdict, due: number): void {
    if (flaw === undefined || this.#isMove(flaw)) return;
    this[flaw.kind].add(`${flaw.why}, at the end`);
    this.#incident({
      due,
      what: flaw.kind,
      why: flaw.why,
      kind,
      namespace: place.namespace,
      key: place.cell.key,
    });
  }

  #isMove({ why, isGone }: { readonly why: string; readonly isGone?: true }): boolean {
    if (!isGone || !this.#ownersMayChange) return false;
    this.moved.add(why);
    return true;
  }

  tick(now: number, stall: number): void {
    this.stalls.record(stall);
    this.windows.tick(now, stall);
  }

  end(now: number): void {
    this.windows.end(now);
  }

  #count(what: Counted): void {
    this.windows.count(what);
    for (const meter of this.meters) meter.count(what);
  }

  #incident(incident: Incident): void {
    const alike = this.incidents.filter(({ what }) => what === incident.what);
    if (alike.length < maxIncidents) this.incidents.push(incident);
  }
}
