import { systemCode } from '@tidemark/connector-kit';
import { TidemarkError } from '@tidemark/model';

/** What a failure to reach a file means for the connection. Unknown failures are given back as they are. */
export function fileFault(error: unknown, name: string): unknown {
  const code = systemCode(error);
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new TidemarkError('SOURCE_GONE', `${name} does not exist (any more)`, { cause: error });
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return configFault(`${name} may not be read: give the connector's user read permission`, error);
  }
  if (code === 'ELOOP') return configFault(`${name} is a symbolic link that leads nowhere`, error);
  return error;
}

/** The config names something that cannot be read as it says. */
export function configFault(message: string, cause?: unknown): TidemarkError {
  return new TidemarkError('SOURCE_CONFIG_INVALID', message, { cause });
}

/** A file is not what it promised to be. */
export function contractFault(message: string): TidemarkError {
  return new TidemarkError('SOURCE_CONTRACT_BROKEN', message);
}
