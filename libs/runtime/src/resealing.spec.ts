import { describe, expect, it } from '@jest/globals';
import { Keyring } from '@tidemark/model';
import { createLogger } from './logger.js';
import { Resealing } from './resealing.js';
import type { SealedSecret, SealedSecrets } from './sealed-secrets.js';

const [A, B, C] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2), Buffer.alloc(32, 3)];
const both = new Keyring(B, [A]);
const PURPOSE = 'test';

/** Secrets in memory, one of each owner. */
class KeptSecrets implements SealedSecrets {
  readonly kept = new Map<string, Uint8Array>();

  keep(owner: string, master: Uint8Array): void {
    this.kept.set(owner, new Keyring(master).seal(Buffer.from(owner), PURPOSE, owner));
  }

  async *all(): AsyncGenerator<SealedSecret> {
    for (const [owner, before] of [...this.kept]) {
      const replace = async (sealed: Uint8Array): Promise<boolean> => {
        const isAsRead = this.kept.get(owner) === before;
        if (isAsRead) this.kept.set(owner, sealed);
        return isAsRead;
      };
      yield { purpose: PURPOSE, owner, sealed: before, replace };
    }
  }

  /** The owners whose secrets open with a master key. */
  openWith(master: Uint8Array): string[] {
    const keyring = new Keyring(master);
    return [...this.kept].filter(([, sealed]) => keyring.isCurrent(sealed)).map(([owner]) => owner);
  }
}

function secretsUnder(masters: Record<string, Uint8Array>): KeptSecrets {
  const secrets = new KeptSecrets();
  for (const [owner, master] of Object.entries(masters)) secrets.keep(owner, master);
  return secrets;
}

function resealing(secrets: SealedSecrets): { background: Resealing; lines: string[] } {
  const lines: string[] = [];
  const destination = (line: string) => void lines.push(line);
  const logger = createLogger({ service: 'test', level: 'info', destination });
  return { background: new Resealing(secrets, both, logger), lines };
}

const pass = (secrets: SealedSecrets) => resealing(secrets).background.pass();

async function said(lines: readonly string[]): Promise<unknown> {
  while (lines.length === 0) await new Promise(setImmediate);
  return JSON.parse(lines[0] ?? '');
}

describe('one pass', () => {
  it('seals anew what is under a previous key, and only that', async () => {
    const secrets = secretsUnder({ old: A, current: B });
    const current = secrets.kept.get('current');
    expect(await pass(secrets)).toEqual({ resealed: 1, contested: 0, unopened: 0 });
    expect(secrets.kept.get('current')).toBe(current);
    const sealed = secrets.kept.get('old') ?? A;
    expect(Buffer.from(new Keyring(B).open(sealed, PURPOSE, 'old')).toString()).toBe('old');
    expect(await pass(secrets)).toEqual({ resealed: 0, contested: 0, unopened: 0 });
  });

  it('goes on after what it cannot open, and leaves that as it is', async () => {
    const secrets = secretsUnder({ unknown: C, old: A });
    const damaged = Buffer.from(secrets.kept.get('old') ?? A).fill(0, 20);
    secrets.kept.set('damaged', damaged).set('empty', Buffer.alloc(0));
    secrets.keep('older', A);
    expect(await pass(secrets)).toEqual({ resealed: 2, contested: 0, unopened: 3 });
    expect(secrets.openWith(B)).toEqual(['old', 'older']);
    expect(secrets.openWith(C)).toEqual(['unknown']);
    expect(secrets.kept.get('damaged')).toBe(damaged);
  });

  it('lets whoever changed a secret meanwhile win', async () => {
    const secrets = secretsUnder({ changed: A, old: A });
    const racing: SealedSecrets = {
      async *all() {
        for await (const secret of secrets.all()) {
          if (secret.owner === 'changed') secrets.keep('changed', A);
          yield secret;
        }
      },
    };
    expect(await pass(racing)).toEqual({ resealed: 1, contested: 1, unopened: 0 });
    expect(secrets.openWith(A)).toEqual(['changed']);
  });
});

describe('in the background', () => {
  it('holds up no start, and says when all is done', async () => {
    const secrets = secretsUnder({ old: A, older: A });
    const { background, lines } = resealing(secrets);
    background.start();
    expect(secrets.openWith(B)).toEqual([]);
    expect(await said(lines)).toMatchObject({
      level: 'info',
      resealed: 2,
      msg: 'all secrets are sealed under the current master key',
    });
    expect(secrets.openWith(B)).toEqual(['old', 'older']);
    await background.stop();
  });

  it('warns of what it could not open', async () => {
    const { background, lines } = resealing(secretsUnder({ unknown: C, old: A }));
    background.start();
    expect(await said(lines)).toMatchObject({ level: 'warn', resealed: 1, unopened: 1 });
    await background.stop();
  });

  it('stops between two secrets', async () => {
    const secrets = secretsUnder({ first: A, second: A });
    let stopped: Promise<void> | undefined;
    const { background, lines } = resealing({
      async *all() {
        for await (const secret of secrets.all()) {
          if (secret.owner === 'second') stopped = background.stop();
          yield secret;
        }
      },
    });
    background.start();
    while (stopped === undefined) await new Promise(setImmediate);
    await stopped;
    expect(secrets.openWith(B)).toEqual(['first']);
    expect(lines).toEqual([]);
  });
});
