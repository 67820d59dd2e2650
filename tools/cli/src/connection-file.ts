import { dirname, resolve } from 'node:path';
import type { ConnectionSpec, ModelSchedule } from '@tidemark/contracts';
import type { Environment } from '@tidemark/runtime';
import { connectionFile, type ConnectionFile } from './connection-file-schema.js';
import type { Parsed } from './environment-values.js';
import { writeJson } from './json.js';
import { toModelScopes } from './scope-file.js';
import { checkFile, parseYaml, readTextFile, type FileOrigin } from './yaml-file.js';

/** Reads a connection file. Throws REQUEST_INVALID with every fault at once. */
export async function readConnectionFile(path: string, env: Environment): Promise<ConnectionSpec> {
  return parseConnectionFile(await readTextFile(path, 'connection file'), { path, env });
}

/** Turns the text of a connection file, YAML or JSON, into what the API takes. */
export function parseConnectionFile(text: string, origin: Omit<FileOrigin, 'kind'>): ConnectionSpec {
  const from = { ...origin, kind: 'connection file' };
  return toSpec(checkFile(parseYaml(text, from), connectionFile, from), origin.path);
}

function toSpec(file: ConnectionFile, path: string): ConnectionSpec {
  return {
    id: file.name,
    connector: file.connector,
    config: jsonBytes(withAbsolutePath(file, path)),
    credentials: file.credentials === undefined ? new Uint8Array(0) : jsonBytes(file.credentials),
    scope: file.scope && {
      models: toModelScopes(file.scope),
      revision: 0n,
    },
    schedule: file.schedule && {
      ...toIntervals(file.schedule),
      models: new Map(
        Object.entries(file.schedule.models ?? {}).map(([model, intervals]) => [
          model,
          toIntervals(intervals),
        ]),
      ),
    },
    guard: file.guard && {
      maxDeletedShare: file.guard.maxDeletedShare,
      minDeletedRecords: file.guard.minDeletedRecords,
      maxQuarantinedShare: file.guard.maxQuarantinedShare,
    },
    budget: file.budget && {
      requestsPerMinute: file.budget.requestsPerMinute,
      burst: file.budget.burst ?? 0,
    },
  };
}

/** A folder of the connector `file` is meant as seen from the connection file, wherever the connector runs. */
function withAbsolutePath({ connector, config = {} }: ConnectionFile, path: string): object {
  return connector === 'file' && 'path' in config && typeof config.path === 'string'
    ? { ...config, path: resolve(dirname(resolve(path)), config.path) }
    : config;
}

function toIntervals(intervals: {
  readonly fullInterval?: number | undefined;
  readonly deltaInterval?: number | undefined;
}): ModelSchedule {
  return {
    fullInterval: toDuration(intervals.fullInterval),
    deltaInterval: toDuration(intervals.deltaInterval),
  };
}

function toDuration(seconds: number | undefined): ModelSchedule['fullInterval'] {
  if (seconds === undefined) {
    return undefined;
  }
  const whole = Math.floor(seconds);
  return { seconds: BigInt(whole), nanos: Math.round((seconds - whole) * 1e9) };
}

function jsonBytes(value: object): Uint8Array {
  return Buffer.from(writeJson(value as Parsed));
}
