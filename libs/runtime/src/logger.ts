import { pino } from 'pino';
import { logFields } from './log-fields.js';
import { prettyLine } from './pretty-line.js';

/** Least severe first. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** A JSON logger with bound context. Fields named like secrets or data are redacted at any depth. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** A logger that adds these fields to each of its lines. */
  child(bindings: object): Logger;
}

/** Where lines go: the process's stdout (the default) or stderr, or a function that takes each whole line. */
export type LogDestination = 'stdout' | 'stderr' | ((line: string) => void);

/** How to log. */
export interface LoggerOptions {
  readonly service: string;
  readonly level: LogLevel;
  /** One line of text for people instead of JSON. */
  readonly pretty?: boolean;
  readonly destination?: LogDestination;
}

/** Makes the one logger of a process; its parts get children of it. */
export function createLogger({
  service,
  level,
  pretty = false,
  destination = 'stdout',
}: LoggerOptions): Logger {
  const write = writerTo(destination);
  const stream = { write: pretty ? (line: string) => write(prettyLine(line)) : write };
  const options = {
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return wrap(pino(options, stream));
}

function writerTo(destination: LogDestination): (line: string) => void {
  if (typeof destination === 'function') {
    return destination;
  }
  // Synchronous, so that the last lines before an exit are not lost.
  const stream = pino.destination({ dest: destination === 'stdout' ? 1 : 2, sync: true });
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // With EPIPE the reader is gone, and nobody is left to tell.
    if (error.code !== 'EPIPE') {
      throw error;
    }
  });
  return (line) => stream.write(line);
}

function wrap(logger: pino.Logger): Logger {
  const at = (level: LogLevel) => (fields: object, message: string) => {
    if (logger.isLevelEnabled(level)) {
      logger[level](logFields(fields), message);
    }
  };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (bindings) => wrap(logger.child(logFields(bindings))),
  };
}
