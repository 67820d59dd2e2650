import type { SourceSettings } from '@tidemark/contracts';
import { formatPath, TidemarkError, type FieldViolation } from '@tidemark/model';
import { z } from 'zod';
import type { Connector, Source } from './connector.js';

/** The settings of a call, checked by the connector's schemas. Throws SOURCE_CONFIG_INVALID with every fault. */
export function parseSettings<Config, Credentials>(
  connector: Connector<Config, Credentials>,
  settings: SourceSettings | undefined,
  signal: AbortSignal,
): Source<Config, Credentials> {
  const violations: FieldViolation[] = [];
  const config = parsePart('config', connector.config, settings?.config, violations);
  const credentials = parsePart('credentials', connector.credentials, settings?.credentials, violations);
  if (violations.length > 0 || config === undefined || credentials === undefined) {
    const faults = violations.map(({ field, description }) => `${field}: ${description}`);
    throw new TidemarkError(
      'SOURCE_CONFIG_INVALID',
      `the settings do not fit the connector: ${faults.join('; ')}`,
      {
        violations,
      },
    );
  }
  return { config: config.value, credentials: credentials.value, signal };
}

/** A schema as JSON Schema (draft 2020-12) of what users write. */
export function jsonSchemaOf(schema: z.ZodType): object {
  return z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12' });
}

function parsePart<T>(
  part: string,
  schema: z.ZodType<T>,
  bytes: Uint8Array | undefined,
  violations: FieldViolation[],
): { value: T } | undefined {
  const json = parseObject(bytes);
  if (json === undefined) {
    violations.push({ field: part, description: 'is no JSON object' });
    return undefined;
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return { value: parsed.data };
  for (const issue of parsed.error.issues) {
    violations.push({ field: formatPath([part, ...issue.path.map(String)]), description: issue.message });
  }
  return undefined;
}

function parseObject(bytes: Uint8Array | undefined): object | undefined {
  if (bytes === undefined || bytes.length === 0) return {};
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    // JSON.parse quotes the text in its message, which may hold a secret; the caller names the part instead.
    return undefined;
  }
}
