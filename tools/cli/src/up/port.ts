import { createServer } from 'node:net';
import { TidemarkError } from '@tidemark/model';

const LOOPBACK = '127.0.0.1';

/** Throws CONFIG_INVALID, with what to do, when nothing can listen on the port; 0 is always free. */
export async function requireFreePort(port: number): Promise<void> {
  const failure = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    const probe = createServer();
    probe.once('error', resolve);
    probe.listen(port, LOOPBACK, () => probe.close(() => resolve(undefined)));
  });
  if (failure === undefined) {
    return;
  }
  const why =
    failure.code === 'EADDRINUSE' ? 'is in use' : `cannot be opened (${failure.code ?? 'unknown error'})`;
  throw new TidemarkError(
    'CONFIG_INVALID',
    `Port ${String(port)} ${why}: stop the program that uses it, or choose another with --port N.`,
  );
}
