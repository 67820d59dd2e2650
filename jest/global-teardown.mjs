import { once } from 'node:events';

/** Ends the MongoDB of the run and waits until it has removed its data. */
export default async function globalTeardown() {
  const child = globalThis.tidemarkTestMongo;
  if (child !== undefined && child.exitCode === null) {
    const exit = once(child, 'exit');
    child.stdin.end();
    await exit;
  }
}
