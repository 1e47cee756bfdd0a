// Makes the project's own small trace: `node orchestrator/src/replay/generate.ts > traces/small.lis`.
//
// 60,000 references, always the same: pages by a Zipf law (exponent 0.9 over 10,000 pages, ranks scattered over the page
// numbers), and every 5,000 references a scan over 500 pages that are never used again, which is what separates
// scan-resistant policies from LRU.

const references = 60_000;
const pages = 10_000;
const exponent = 0.9;
const scanEvery = 5_000;
const scanLength = 500;

/** mulberry32 (Tommy Ettinger): 32 bits of state, enough for a trace that is the same everywhere. */
const generator = (seed: number) => {
  let state = seed;
  return (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};

const cumulativeZipf = (): Float64Array => {
  const cumulative = new Float64Array(pages);
  let sum = 0;
  for (let rank = 0; rank < pages; rank++) {
    sum += 1 / (rank + 1) ** exponent;
    cumulative[rank] = sum;
  }
  return cumulative.map((value) => value / sum);
};

/** The first rank whose cumulative probability is not below `u`. */
const rankOf = (cumulative: Float64Array, u: number): number => {
  let [low, high] = [0, cumulative.length - 1];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((cumulative[middle] ?? 1) < u) low = middle + 1;
    else high = middle;
  }
  return low;
};

const random = generator(20261122);
const cumulative = cumulativeZipf();
const lines: string[] = [];
let nextScan = pages;
for (let i = 0; i < references; ) {
  if (i > 0 && i % scanEvery === 0) {
    lines.push(`${nextScan} ${scanLength} 0 ${i}`);
    nextScan += scanLength;
    i += scanLength;
    if (i % scanEvery === 0) continue;
  }
  // 7,919 is prime to the number of pages: neighbouring ranks are not neighbouring pages.
  lines.push(`${(rankOf(cumulative, random()) * 7_919) % pages} 1 0 ${i}`);
  i += 1;
}
process.stdout.write(`${lines.join('\n')}\n`);
