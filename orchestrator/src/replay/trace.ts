import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { createZstdDecompress } from 'node:zlib';

export class TraceFormatError extends Error {
  override readonly name = 'TraceFormatError';
}

const line = /^(\d+) (\d+) (\d+) (\d+)$/;

/**
 * The pages that a trace refers to, in order. Each line is `START COUNT IGNORED REQUEST`: COUNT references to the pages
 * START, START + 1, … (the format of the traces of Megiddo and Modha, "ARC: A Self-Tuning, Low Overhead Replacement
 * Cache", USENIX FAST 03). A file that ends in `.zst` is decompressed.
 */
export async function* readTrace(file: string): AsyncGenerator<number> {
  const raw = createReadStream(file);
  const input = file.endsWith('.zst') ? raw.pipe(createZstdDecompress()) : raw;
  raw.once('error', (error) => input.destroy(error));
  let number = 0;
  try {
    for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      number += 1;
      if (text.trim() === '') continue;
      const [, start, count] = line.exec(text.trim()) ?? [];
      if (start === undefined || count === undefined) {
        throw new TraceFormatError(
          `${file}:${number}: expected "START COUNT IGNORED REQUEST", found "${text.slice(0, 80)}"`,
        );
      }
      for (let page = Number(start), end = page + Number(count); page < end; page++) yield page;
    }
  } finally {
    raw.destroy();
  }
}
