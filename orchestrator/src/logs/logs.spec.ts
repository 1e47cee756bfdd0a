import { stripVTControlCharacters } from 'node:util';
import { logFilter } from './filter.ts';
import { formatRecord } from './format.ts';
import { LogHub } from './hub.ts';
import { type LogRecord, parseLogLine } from './record.ts';

const from = { service: 'cache', instance: 'cache-0', level: 'warn' } as const;
const record = (fields: Partial<LogRecord> = {}): LogRecord => ({
  time: '2026-01-02T03:04:05.678Z',
  level: 'info',
  msg: 'hello',
  service: 'cache',
  instance: 'cache-0',
  ...fields,
});

test('a JSON line is a record, and the instance that wrote it is the one that we started', () => {
  const line = '{"time":"2026-01-02T03:04:05.678Z","level":"error","msg":"no","instance":"liar","rpc":"Get"}';
  expect(parseLogLine(line, from)).toEqual(record({ level: 'error', msg: 'no', rpc: 'Get' }));
});

test('an integer of 64 bits stays exact', () => {
  const line = '{"msg":"up","incarnation":12300071937400353001,"ratio":0.5,"count":7}';
  expect(parseLogLine(line, from)).toMatchObject({ incarnation: '12300071937400353001', ratio: 0.5, count: 7 });
});

test('any other line is a record with that text', () => {
  expect(parseLogLine('thread panicked', from)).toMatchObject({
    level: 'warn',
    msg: 'thread panicked',
    instance: 'cache-0',
  });
  expect(parseLogLine('{half', from)).toMatchObject({ msg: '{half' });
});

test('a record is one line for people', () => {
  expect(stripVTControlCharacters(formatRecord(record({ rpc: 'Get', note: 'two words' })))).toBe(
    '03:04:05.678 cache-0   INFO  hello rpc=Get note="two words"',
  );
});

test('filters ask for a service or an instance, a least level and a text', () => {
  expect(logFilter({ from: ['cache'] })(record())).toBe(true);
  expect(logFilter({ from: ['cache-1', 'gateway'] })(record())).toBe(false);
  expect(logFilter({ level: 'warn' })(record())).toBe(false);
  expect(logFilter({ text: 'rpc":"Get' })(record({ rpc: 'Get' }))).toBe(true);
});

test('the hub keeps the newest records and counts those that it drops', () => {
  const hub = new LogHub();
  for (let i = 0; i < 12_000; i += 1) hub.add(record({ i }));
  const kept = hub.recent();
  expect(kept.at(-1)?.['i']).toBe(11_999);
  expect(kept.length).toBe(5000);
  expect(hub.dropped).toBeGreaterThanOrEqual(6500);
});
