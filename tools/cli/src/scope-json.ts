import type { GetScopeResponse, Scope, ScopeReceipt } from '@tidemark/contracts';
import type { Writable } from './json.js';

/** A scope as `--json` shows it. */
export function scopeJson({ models, revision }: Scope): { readonly [name: string]: Writable } {
  return {
    models: models.map(({ model, fields, indexFields }) => ({ model, fields, indexFields })),
    revision,
  };
}

/** A scope, whether a purge is under way, and what was purged, as `--json` shows it. */
export function scopeStatusJson({ scope, purging, receipts }: GetScopeResponse): Writable {
  return {
    ...(scope === undefined ? {} : scopeJson(scope)),
    purging,
    receipts: receipts.map(receiptJson),
  };
}

/** What was purged, as `--json` shows it. */
export function receiptJson(receipt: ScopeReceipt): Writable {
  return { ...receipt };
}
