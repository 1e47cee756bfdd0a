import type { Readable } from 'node:stream';

/** A line longer than this is cut: a service that writes no line break must not fill our memory. */
const longestLine = 256 * 1024;

/** Calls `onLine` for every line of the stream, the unfinished last one included. */
export const forEachLine = (stream: Readable, onLine: (line: string) => void): void => {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > longestLine) {
      lines.push(rest);
      rest = '';
    }
    for (const line of lines) if (line !== '') onLine(line);
  });
  stream.on('end', () => {
    if (rest !== '') onLine(rest);
  });
};
