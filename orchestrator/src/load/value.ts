import { maxValueBytes } from './options.ts';

/** What a value says about the write that made it. */
export interface Stamp {
  readonly key: string;
  /** The load that wrote it: keys of another load are never taken for ours. */
  readonly writer: string;
  /** Counts the writes of the key. */
  readonly sequence: number;
  /** The newest version that the writer knew when it wrote. */
  readonly replaced: bigint;
}

const fillBytes = 64 * 1024;

/** Bytes without a period that a mix-up of buffers could hide in. */
const makeFilling = (): Buffer => {
  const bytes = Buffer.alloc(fillBytes + maxValueBytes);
  let state = 0x2545f491;
  for (let at = 0; at < bytes.length; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeInt32LE(state, at);
  }
  return bytes;
};

let filling: Buffer | undefined;

/** What follows the stamp: other bytes for each write. */
const fillingOf = (sequence: number, length: number): Buffer => {
  filling ??= makeFilling();
  const from = (sequence * 97) % fillBytes;
  return filling.subarray(from, from + length);
};

/** A value of `bytes` bytes, or a little more if the stamp needs it. */
export const makeValue = ({ key, writer, sequence, replaced }: Stamp, bytes: number): Buffer => {
  const stamp = `bimetal-load ${key} ${writer} ${sequence} ${replaced} `;
  // The length of the filling is part of the stamp: a value that was cut is seen. Eight digits are room for every size.
  const length = Math.max(0, bytes - stamp.length - 9);
  const head = Buffer.from(`${stamp}${String(length).padStart(8, '0')}\n`);
  return length === 0 ? head : Buffer.concat([head, fillingOf(sequence, length)]);
};

const pattern = /^bimetal-load (\S+) (\S+) (\d+) (\d+) (\d{8})$/;

/** The stamp of a value, or undefined if it is none of ours or one of its bytes is not what was written. */
export const readValue = (value: Buffer): Stamp | undefined => {
  const end = value.indexOf(10);
  if (end < 0) return undefined;
  const [, key, writer, sequence, replaced, length] = pattern.exec(value.toString('latin1', 0, end)) ?? [];
  if (key === undefined || writer === undefined || sequence === undefined || replaced === undefined) return undefined;
  const rest = value.subarray(end + 1);
  if (rest.length !== Number(length) || !rest.equals(fillingOf(Number(sequence), rest.length))) return undefined;
  return { key, writer, sequence: Number(sequence), replaced: BigInt(replaced) };
};
