import { z } from 'zod';

const KEY_BYTES = 32;
const MAX_PREVIOUS = 8;

/** A master key as it is written: base64 of 32 bytes. */
export const masterKey = z
  .base64({ error: 'must be 32 bytes in base64', abort: true })
  .refine((text) => bytesOf(text).length === KEY_BYTES, 'must be 32 bytes in base64');

/** Master keys that only open any more. */
export const previousMasterKeys = z
  .array(masterKey, 'must be a list of keys')
  .max(MAX_PREVIOUS, `must be no more than ${MAX_PREVIOUS} keys`);

/** The variables of a service that seals; spread them into its schema. */
export const masterKeyVariables = {
  TIDEMARK_MASTER_KEY: masterKey,
  TIDEMARK_PREVIOUS_MASTER_KEYS: z
    .string()
    .transform((text) => text.split(',').map((key) => key.trim()))
    .pipe(previousMasterKeys)
    .default([]),
};

/** The master keys of a service that seals. */
export interface MasterKeySettings {
  /** Seals and opens. */
  readonly masterKey: Uint8Array;
  /** Open what was sealed before the keys were changed. */
  readonly previousMasterKeys: readonly Uint8Array[];
}

/** Names and decodes what `masterKeyVariables` read. */
export function masterKeySettings(values: {
  readonly TIDEMARK_MASTER_KEY: string;
  readonly TIDEMARK_PREVIOUS_MASTER_KEYS: readonly string[];
}): MasterKeySettings {
  return {
    masterKey: bytesOf(values.TIDEMARK_MASTER_KEY),
    previousMasterKeys: Object.freeze(values.TIDEMARK_PREVIOUS_MASTER_KEYS.map(bytesOf)),
  };
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'base64');
}
