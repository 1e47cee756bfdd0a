import type { ServerResponse } from 'node:http';
import type { LogHub } from '../logs/hub.ts';
import type { LogRecord } from '../logs/record.ts';

/** A reader that lets this much pile up is too slow and is cut off: it may come back and ask for the tail. */
const longestBacklogBytes = 8 * 1024 * 1024;

export interface RecordStream {
  readonly matches: (record: LogRecord) => boolean;
  /** How many of the kept records come first. */
  readonly tail: number;
  readonly follow: boolean;
  /** How a record stands in the stream. */
  readonly frame: (json: string) => string;
  readonly type: string;
}

/** Writes kept and then new records until the reader leaves. */
export const streamRecords = (hub: LogHub, response: ServerResponse, stream: RecordStream): void => {
  const { matches, tail, follow, frame, type } = stream;
  response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' });
  const write = (record: LogRecord): void => {
    if (!matches(record)) return;
    response.write(frame(JSON.stringify(record)));
    if (response.writableLength > longestBacklogBytes) response.destroy();
  };
  for (const record of tail === 0 ? [] : hub.recent(matches, tail)) write(record);
  if (!follow) {
    response.end();
    return;
  }
  const unsubscribe = hub.subscribe(write);
  response.on('close', unsubscribe);
};
