import { elementsOf } from './elements.ts';

/** One side of a comparison: who it is, and the contract that it was built from. */
export interface Side {
  readonly name: string;
  readonly revision: number;
  readonly digest: string;
  readonly descriptorSet: Uint8Array;
}

export type Comparison =
  | { readonly kind: 'equal' }
  /** The older side does not know some elements yet; everything that both know is the same. */
  | { readonly kind: 'compatible'; readonly older: string; readonly lacks: readonly string[] }
  | { readonly kind: 'breaking'; readonly older: string | undefined; readonly differences: readonly string[] };

/**
 * Compares two contracts as two live peers see each other: what both have must have the same shape, and what the older
 * one relies on must still be there in the newer one. Only the newer one may have more. Stricter than the wire alone
 * (a renamed field is a difference), because the same contract is also read as JSON and by reflection.
 */
export const compareContracts = (a: Side, b: Side): Comparison => {
  if (a.digest === b.digest) return { kind: 'equal' };
  const [older, newer] = a.revision <= b.revision ? [a, b] : [b, a];
  const before = elementsOf(older.descriptorSet);
  const after = elementsOf(newer.descriptorSet);

  const changed = [...before].flatMap(([element, shape]) => {
    const now = after.get(element);
    if (now === undefined) return [`${element} (${shape}) is missing in ${newer.name}`];
    return now === shape ? [] : [`${element} is "${shape}" in ${older.name} and "${now}" in ${newer.name}`];
  });
  const isNew = (element: string): boolean => after.has(element) && !before.has(element);
  // What stands in a new message or service is said with it.
  const added = [...after].flatMap(([element, shape]) =>
    isNew(element) && !isNew(parentOf(element)) ? [`${element} (${shape})`] : [],
  );

  if (a.revision === b.revision) {
    const differences = [...changed, ...added.map((element) => `${element} is missing in ${older.name}`)];
    return { kind: 'breaking', older: undefined, differences: orSayNothing(differences) };
  }
  if (changed.length > 0) return { kind: 'breaking', older: older.name, differences: changed };
  return { kind: 'compatible', older: older.name, lacks: added };
};

/** `field 3 of a.B` stands in `message a.B`. */
const parentOf = (element: string): string => element.replace(/^field \d+ of /, 'message ');

/** Options and comments are part of the digest and of no element. */
const orSayNothing = (differences: readonly string[]): readonly string[] =>
  differences.length > 0 ? differences : ["no element differs: options or packages that are not the contract's own do"];
