/** One line of a service's log. The contract of the line is in docs/operations.md. */
export interface LogRecord {
  /** RFC 3339 with milliseconds, UTC. */
  readonly time: string;
  readonly level: LogLevel;
  readonly msg: string;
  readonly service: string;
  readonly instance: string;
  readonly [field: string]: unknown;
}

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

export const isLogLevel = (value: unknown): value is LogLevel => logLevels.some((level) => level === value);

/** A line may be anything: a log record, a panic, a compiler's remark. It becomes a record either way. */
export const parseLogLine = (
  line: string,
  from: { readonly service: string; readonly instance: string; readonly level: LogLevel },
): LogRecord => {
  const parsed = parseObject(line);
  if (!parsed) {
    return {
      time: new Date().toISOString(),
      level: from.level,
      msg: line,
      service: from.service,
      instance: from.instance,
    };
  }
  const { time, level, msg, ...rest } = parsed;
  return {
    time: typeof time === 'string' ? time : new Date().toISOString(),
    level: isLogLevel(level) ? level : from.level,
    msg: typeof msg === 'string' ? msg : '',
    ...rest,
    service: from.service,
    instance: from.instance,
  };
};

/** An integer beyond 2^53 stays exact, as a string: versions and incarnations have 64 bits. */
const exactIntegers = (_key: string, value: unknown, context?: { readonly source?: string }): unknown =>
  typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value) ? context?.source : value;

const parseObject = (line: string): Record<string, unknown> | undefined => {
  if (!line.startsWith('{')) return undefined;
  try {
    const value: unknown = JSON.parse(line, exactIntegers);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
};
