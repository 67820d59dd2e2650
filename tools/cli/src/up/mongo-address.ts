import { TidemarkError } from '@tidemark/model';

const PARTS = /^(mongodb(?:\+srv)?:\/\/(?:([^@/?]*)@)?([^/?]+))(?:\/([^?]*))?(?:\?(.*))?$/;

/** A MongoDB address, taken apart as far as choosing a database needs it. */
interface MongoAddress {
  /** Scheme, user and hosts. */
  readonly base: string;
  readonly hosts: string;
  readonly hasUser: boolean;
  readonly database: string;
  readonly options: string;
}

/** The same server with another database: that of the address, or `tidemark`, and a suffix. */
export function databaseAddress(uri: string, suffix: string): string {
  const { base, database, options, hasUser } = parse(uri);
  const parameters = options === '' ? [] : [options];
  if (hasUser && database !== '' && !/(?:^|&)authSource=/i.test(options)) {
    // Without it, the user would be looked for in the database that we choose.
    parameters.push(`authSource=${database}`);
  }
  const query = parameters.length === 0 ? '' : `?${parameters.join('&')}`;
  return `${base}/${database === '' ? 'tidemark' : database}_${suffix}${query}`;
}

/** Hosts of an address: what may be shown, for it holds no user and no password. */
export function hostsOf(uri: string): string {
  return parse(uri).hosts;
}

function parse(uri: string): MongoAddress {
  const [, base, user, hosts, database = '', options = ''] = PARTS.exec(uri) ?? [];
  if (base === undefined || hosts === undefined) {
    throw new TidemarkError(
      'CONFIG_INVALID',
      'The MongoDB address is not valid; it looks like mongodb://host:port/?replicaSet=name',
    );
  }
  return { base, hosts, hasUser: user !== undefined, database, options };
}
