// Which node owns a key: rendezvous hashing (Thaler and Ravishankar, "Using name-based mappings to increase hit rates",
// IEEE/ACM Transactions on Networking 6(1), 1998) with XXH64.
import xxhash from 'xxhash-wasm';

const { h64Raw } = await xxhash();

const zero = Buffer.of(0);

const bytes = (text: string | Uint8Array): Uint8Array => (typeof text === 'string' ? Buffer.from(text, 'utf8') : text);

/** The weight of a node for a key: XXH64 (seed 0) of `name 0x00 namespace 0x00 key`. */
export const weightOf = (name: string, namespace: string, key: string | Uint8Array): bigint =>
  h64Raw(Buffer.concat([bytes(name), zero, bytes(namespace), zero, bytes(key)]), 0n);

/** The node with the greatest weight; ties go to the bytewise greater name. Undefined without nodes. */
export const ownerOf = <Node extends { readonly name: string }>(
  nodes: readonly Node[],
  namespace: string,
  key: string | Uint8Array,
): Node | undefined => {
  let owner: Node | undefined;
  let greatest = -1n;
  for (const node of nodes) {
    const weight = weightOf(node.name, namespace, key);
    if (weight > greatest || (weight === greatest && owner !== undefined && node.name > owner.name)) {
      owner = node;
      greatest = weight;
    }
  }
  return owner;
};
