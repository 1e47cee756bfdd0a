import { styleText } from 'node:util';
import type { LogLevel, LogRecord } from './record.ts';

type Style = Parameters<typeof styleText>[0];

const instanceStyles: readonly Style[] = ['cyan', 'green', 'magenta', 'blue', 'yellow', 'cyanBright', 'greenBright'];
const levelStyles: Record<LogLevel, Style> = { debug: 'gray', info: 'white', warn: 'yellow', error: 'red' };

/** The same instance has the same colour in every run. */
const styleOf = (instance: string): Style => {
  let sum = 0;
  for (const char of instance) sum = (sum * 31 + char.charCodeAt(0)) >>> 0;
  return instanceStyles[sum % instanceStyles.length] ?? 'white';
};

const fieldText = (value: unknown): string => {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(value);
};

/** One line for people. `styleText` leaves the colours out where the terminal has none. */
export const formatRecord = (record: LogRecord): string => {
  const { time, level, msg, service: _service, instance, ...fields } = record;
  const clock = time.slice(11, 23);
  const rest = Object.entries(fields)
    .map(([key, value]) => `${key}=${fieldText(value)}`)
    .join(' ');
  const head = `${styleText('gray', clock)} ${styleText(styleOf(instance), instance.padEnd(9))}`;
  const body = `${styleText(levelStyles[level], level.toUpperCase().padEnd(5))} ${msg}`;
  return rest ? `${head} ${body} ${styleText('gray', rest)}` : `${head} ${body}`;
};
