import { describe, expect, it } from '@jest/globals';
import { TidemarkError } from '@tidemark/model';
import { createLogger, type Logger, type LogLevel } from './logger.js';

function capture(level: LogLevel = 'debug', pretty = false): { logger: Logger; lines: string[] } {
  const lines: string[] = [];
  const logger = createLogger({
    service: 'store',
    level,
    pretty,
    destination: (line) => void lines.push(line),
  });
  return { logger, lines };
}

describe('createLogger', () => {
  it('writes one JSON object a line, with the service and the bound context', () => {
    const { logger, lines } = capture();
    logger.child({ connectionId: 'c1' }).info({ read: 3n }, 'committed');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'info',
      service: 'store',
      connectionId: 'c1',
      read: '3',
      msg: 'committed',
    });
  });

  it('leaves out what is below its level', () => {
    const { logger, lines } = capture('warn');
    logger.info({}, 'quiet');
    logger.warn({}, 'loud');
    expect(lines).toHaveLength(1);
  });

  it('redacts secrets and data at any depth, and keeps counts', () => {
    const { logger, lines } = capture();
    const fields = {
      a: { b: [{ Authorization: 'hunter2' }] },
      api_key: 'hunter2',
      payload: { ssn: 'hunter2' },
      records: 7,
    };
    logger.child({ credentials: { user: 'hunter2' } }).info(fields, 'x');
    logger.info({ bytes: new TextEncoder().encode('hunter2') }, 'y');
    expect(lines.join('')).not.toContain('hunter2');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ records: 7, payload: '[redacted]' });
    expect(JSON.parse(lines[1] ?? '')).toMatchObject({ bytes: '(7 bytes)' });
  });

  it('shows our own errors with their causes, and withholds messages that may quote data', () => {
    const { logger, lines } = capture();
    const driver = Object.assign(new Error('E11000 dup key: { ssn: "hunter2" }'), {
      name: 'MongoServerError',
      code: 11000,
    });
    logger.error(
      { error: new TidemarkError('INTERNAL', 'A database operation failed.', { cause: driver }) },
      'failed',
    );
    const parse = (() => {
      try {
        return JSON.parse('hunter2') as unknown;
      } catch (error) {
        return error;
      }
    })();
    logger.error({ error: parse }, 'failed');
    expect(lines.join('')).not.toContain('hunter2');
    const { error } = JSON.parse(lines[0] ?? '') as { error: Record<string, unknown> };
    expect(error).toMatchObject({
      type: 'TidemarkError',
      reason: 'INTERNAL',
      message: 'A database operation failed.',
      cause: { type: 'MongoServerError', code: 11000 },
    });
    expect(error['stack']).toContain('logger.spec');
  });

  it('writes a line for people when asked', () => {
    const { logger, lines } = capture('info', true);
    logger.warn({ port: 7100 }, 'port in use');
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} WARN {2}store: port in use port=7100\n$/);
  });
});
