import type { Outcome, Request } from './client.ts';
import type { Counter } from './counter.ts';
import type { Flaw, Seen } from './flaw.ts';
import type { Place } from './keyspace.ts';
import type { Kind } from './options.ts';
import { Register } from './register.ts';
import { makeValue } from './value.ts';
import { type Failure, failureOf, reasonIn } from './verdict.ts';

/** What an answer comes to: it was served (with a flaw, perhaps), or it failed. */
export interface Verdict {
  readonly failed?: string;
  readonly flaw?: Flaw | undefined;
  /** A compare-and-swap was refused, and a write of unknown outcome explains it. */
  readonly conflict?: true;
}

/** One request, ready to be sent, and how its outcome is judged. */
export interface Operation {
  readonly kind: Kind;
  readonly place: Place;
  readonly request: Request;
  /** `mayHaveBegun`: an earlier attempt of the same operation had no outcome. Called exactly once. */
  readonly settle: (outcome: Outcome, mayHaveBegun: boolean) => Verdict;
}

/** What a read saw, or undefined if it failed. */
export const seenOf = (outcome: Outcome): Seen | undefined => {
  if (outcome.kind === 'broken') return undefined;
  const { status, version, body } = outcome;
  if (status === 200) return { found: true, version, body };
  return status === 404 && reasonIn(body) === 'KEY_NOT_FOUND' ? { found: false } : undefined;
};

const isRegister = (place: Place): place is Place<Register> => place.cell instanceof Register;

/** `final`: after the last write. */
export const read = (place: Place, final = false): Operation => ({
  kind: 'read',
  place,
  request: { method: 'GET', path: place.path },
  settle: judgeOf(place, final),
});

const judgeOf = (place: Place, final: boolean): Operation['settle'] => {
  const judge = isRegister(place) ? judgeRegister(place, final) : judgeCounter(place as Place<Counter>, final);
  return (outcome) => {
    const seen = seenOf(outcome);
    return seen === undefined ? { failed: failureOf(outcome).why } : { flaw: judge(seen) };
  };
};

const judgeRegister = ({ cell }: Place<Register>, final: boolean): ((seen: Seen) => Flaw | undefined) => {
  const before = cell.before();
  return (seen) => cell.judge(seen, before, final);
};

const judgeCounter = ({ cell }: Place<Counter>, final: boolean): ((seen: Seen) => Flaw | undefined) => {
  const before = cell.before();
  return (seen) => cell.judge(seen, before, final);
};

/** A write that failed, for its key. */
const give = (failure: Failure, mayHaveBegun: boolean, refused: () => void, unknown: () => void): Verdict => {
  if (failure.kind === 'unknown' || mayHaveBegun) unknown();
  else refused();
  return { failed: failure.why };
};

const type = { 'content-type': 'application/octet-stream' };

const isAcknowledged = (outcome: Outcome): outcome is Extract<Outcome, { kind: 'answer' }> =>
  outcome.kind === 'answer' && (outcome.status === 201 || outcome.status === 204);

export const write = (place: Place<Register>, writer: string, bytes: number): Operation => {
  const { cell, path } = place;
  const before = cell.before();
  const sequence = cell.issue();
  const body = makeValue({ key: cell.key, writer, sequence, replaced: before.known.version }, bytes);
  return {
    kind: 'write',
    place,
    request: { method: 'PUT', path, headers: type, body },
    settle: (outcome, mayHaveBegun) =>
      isAcknowledged(outcome)
        ? { flaw: cell.acknowledged(sequence, outcome.version, outcome.status === 201, before) }
        : give(
            failureOf(outcome),
            mayHaveBegun,
            () => cell.refused(sequence),
            () => cell.unknown(sequence),
          ),
  };
};

/** Where there is, or may be, no entry to compare with, a plain write. */
export const compareAndSwap = (place: Place<Register>, writer: string, bytes: number): Operation => {
  const { cell } = place;
  const { expected } = cell;
  if (expected === undefined) return write(place, writer, bytes);
  const before = cell.before();
  const plain = write(place, writer, bytes);
  const sequence = cell.issued;
  return {
    ...plain,
    kind: 'cas',
    request: { ...plain.request, headers: { ...type, 'if-match': `"${expected}"` } },
    settle: (outcome, mayHaveBegun) => {
      if (outcome.kind !== 'answer' || outcome.status !== 412) return plain.settle(outcome, mayHaveBegun);
      const found = cell.conflicted(sequence, expected, outcome.version, before);
      return found === 'explained' ? { conflict: true } : { flaw: found };
    },
  };
};

const increase = { headers: { 'content-type': 'application/json' }, body: '{"delta":"1"}' };

/** `{"value":"5","version":"…"}` */
const resultOf = (body: Buffer): { value: number; version: bigint | undefined } => {
  const [, value] = /"value":\s*"(\d+)"/.exec(body.toString('latin1')) ?? [];
  const [, version] = /"version":\s*"(\d+)"/.exec(body.toString('latin1')) ?? [];
  return { value: Number(value), version: version === undefined ? undefined : BigInt(version) };
};

export const increment = (place: Place<Counter>): Operation => {
  const { cell, path } = place;
  const before = cell.before();
  cell.issue();
  return {
    kind: 'increment',
    place,
    request: { method: 'POST', path: `${path}/increment`, ...increase },
    settle: (outcome, mayHaveBegun) => {
      if (outcome.kind === 'answer' && outcome.status === 200) {
        const { value, version } = resultOf(outcome.body);
        return { flaw: cell.acknowledged(value, version, before) };
      }
      return give(
        failureOf(outcome),
        mayHaveBegun,
        () => cell.refused(),
        () => cell.unknown(),
      );
    },
  };
};
