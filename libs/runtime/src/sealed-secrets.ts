/** A secret in a service's database, as it is sealed there. */
export interface SealedSecret {
  /** What it is for, and whose it is; both are needed to open it. */
  readonly purpose: string;
  readonly owner: string;
  readonly sealed: Uint8Array;
  /** Puts it, sealed anew, in place of what was read; false if that was changed or removed since. */
  replace(sealed: Uint8Array): Promise<boolean>;
}

/** Everything in a service's database that is sealed under the master key. */
export interface SealedSecrets {
  /** Each secret, one after the other. */
  all(): AsyncIterable<SealedSecret>;
}
