import { type LogLevel, type LogRecord, logLevels } from './record.ts';

export interface LogFilter {
  /** Services or instances; none means all. */
  readonly from?: readonly string[];
  /** The least level shown. */
  readonly level?: LogLevel;
  /** Found anywhere in the record's JSON. */
  readonly text?: string;
}

export const logFilter = ({ from = [], level = 'debug', text }: LogFilter): ((record: LogRecord) => boolean) => {
  const least = logLevels.indexOf(level);
  return (record) =>
    logLevels.indexOf(record.level) >= least &&
    (from.length === 0 || from.includes(record.service) || from.includes(record.instance)) &&
    (text === undefined || JSON.stringify(record).includes(text));
};
