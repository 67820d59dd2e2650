/** The code of an error of the operating system (`ENOENT`); undefined for every other one. */
export function systemCode(error: unknown): string | undefined {
  // By its shape: an error from another realm is no instance of this one's Error.
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined;
}
