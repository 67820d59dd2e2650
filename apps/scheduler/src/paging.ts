import { TidemarkError } from '@tidemark/model';

/** A request for one page. */
export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

/** How many to give, and after which; `after` is undefined for the first page. Throws REQUEST_INVALID. */
export function readPage(
  { pageSize, pageToken }: PageRequest,
  size: { readonly most: number; readonly byDefault: number },
  isToken: (token: string) => boolean,
): { limit: number; after: string | undefined } {
  if (pageSize < 0 || pageSize > size.most) throw invalid('page_size', `is 0 to ${size.most}`);
  if (pageToken !== '' && !isToken(pageToken)) throw invalid('page_token', 'is none that was given');
  return {
    limit: pageSize === 0 ? size.byDefault : pageSize,
    after: pageToken === '' ? undefined : pageToken,
  };
}

function invalid(field: string, description: string): TidemarkError {
  return new TidemarkError('REQUEST_INVALID', `${field} ${description}`, {
    violations: [{ field, description }],
  });
}
