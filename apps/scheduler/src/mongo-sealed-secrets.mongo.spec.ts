import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { deriveKey, Keyring, Sealer } from '@tidemark/model';
import { createLogger, Resealing, type SealedSecrets } from '@tidemark/runtime';
import { Identity } from './api-keys.js';
import { connectionKey } from './connection.js';
import { MongoApiKeys } from './mongo-api-keys.js';
import type { ControlDatabase } from './mongo-collections.js';
import { MongoConnections } from './mongo-connections.js';
import { MongoSealedSecrets } from './mongo-sealed-secrets.js';
import { SourceTargets } from './source-targets.js';
import { aConnection } from './testing/a-connection.js';
import { testControlDatabase } from './testing/control-database.js';

const A = Buffer.alloc(32, 1);
const B = Buffer.alloc(32, 2);
const API_KEY = 'tm_boot_a-long-secret';
const secret = Buffer.from('{"password":"hunter2"}');
const key = { tenantId: 'acme', id: 'hr' };
const unavailable = expect.objectContaining({ reason: 'KEY_UNAVAILABLE' });
const logger = createLogger({ service: 'scheduler', level: 'error' });

let database: Awaited<ReturnType<typeof testControlDatabase>>;
let db: ControlDatabase;
let connections: MongoConnections;
let secrets: MongoSealedSecrets;

beforeEach(async () => {
  database = await testControlDatabase();
  ({ db } = database);
  connections = new MongoConnections(db);
  secrets = new MongoSealedSecrets(db);
});
afterEach(() => database.drop());

async function anIdentity(master: Uint8Array, previous: readonly Uint8Array[] = []): Promise<Identity> {
  const hashKey = await secrets.apiKeyHashKey(new Keyring(master, previous), master);
  return new Identity(new MongoApiKeys(db), hashKey);
}

/** A connection with credentials, and an API key, as a scheduler with this master key leaves them. */
async function fill(master: Uint8Array): Promise<void> {
  await (await anIdentity(master)).bootstrap(API_KEY);
  await insert(new SourceTargets(new Keyring(master)).seal(key, secret));
}

function insert(sealedCredentials: Uint8Array | undefined, id = key.id): Promise<void> {
  return connections.insert(
    aConnection({ ...key, id, ...(sealedCredentials === undefined ? {} : { sealedCredentials }) }),
  );
}

async function credentials(keyring: Keyring): Promise<Uint8Array> {
  const connection = await connections.find(key);
  if (connection === undefined) throw new Error('there is no such connection');
  return new SourceTargets(keyring).of(connection).settings.credentials;
}

const resealing = (keyring: Keyring, of: SealedSecrets = secrets): Resealing =>
  new Resealing(of, keyring, logger);

describe('when the master key is changed', () => {
  const both = new Keyring(B, [A]);

  test('everything opens with the previous key, is sealed anew, and opens with the new one alone', async () => {
    await fill(A);
    expect(await credentials(both)).toEqual(secret);
    await expect((await anIdentity(B, [A])).authenticate(API_KEY, new Date())).resolves.toMatchObject({
      id: 'boot',
    });

    expect(await resealing(both).pass()).toEqual({ resealed: 2, contested: 0, unopened: 0 });

    expect(await credentials(new Keyring(B))).toEqual(secret);
    await expect((await anIdentity(B)).authenticate(API_KEY, new Date())).resolves.toMatchObject({
      id: 'boot',
    });
    await expect(credentials(new Keyring(A))).rejects.toEqual(unavailable);
    await expect(anIdentity(A)).rejects.toEqual(unavailable);
    expect(await resealing(both).pass()).toEqual({ resealed: 0, contested: 0, unopened: 0 });
  });

  test('the new key alone is refused before', async () => {
    await fill(A);
    await expect(credentials(new Keyring(B))).rejects.toEqual(unavailable);
    await expect(anIdentity(B)).rejects.toEqual(unavailable);
    expect(await resealing(new Keyring(B)).pass()).toEqual({ resealed: 0, contested: 0, unopened: 2 });
    expect(await credentials(new Keyring(A))).toEqual(secret);
  });

  test('an instance that has not been given the new key as its own opens what others sealed under it', async () => {
    await fill(A);
    await resealing(both).pass();
    expect(await credentials(new Keyring(A, [B]))).toEqual(secret);
  });

  test('several instances do it at a time', async () => {
    for (let n = 0; n < 250; n++) {
      const id = `hr-${n}`;
      await insert(new SourceTargets(new Keyring(A)).seal({ ...key, id }, secret), id);
    }
    await insert(undefined, 'without');
    const results = await Promise.all([
      resealing(both).pass(),
      resealing(both).pass(),
      resealing(both).pass(),
    ]);
    expect(results.reduce((sum, { resealed }) => sum + resealed, 0)).toBe(250);
    expect(await resealing(both).pass()).toEqual({ resealed: 0, contested: 0, unopened: 0 });
  });

  test('one that cannot be opened keeps no other from it', async () => {
    await insert(Buffer.alloc(60, 2), 'damaged');
    await fill(A);
    expect(await resealing(both).pass()).toEqual({ resealed: 2, contested: 0, unopened: 1 });
  });

  test('it goes on in the background until all is done', async () => {
    await fill(A);
    const background = resealing(both);
    background.start();
    while (!both.isCurrent((await connections.find(key))?.sealedCredentials ?? A))
      await new Promise(setImmediate);
    await background.stop();
    expect(await credentials(new Keyring(B))).toEqual(secret);
  });
});

describe('a change that comes between', () => {
  const both = new Keyring(B, [A]);

  test('wins', async () => {
    await fill(A);
    const changed = Buffer.from('{"password":"changed"}');
    const contested: SealedSecrets = {
      async *all() {
        for await (const found of secrets.all()) {
          const connection = await connections.find(key);
          const sealedCredentials = new SourceTargets(new Keyring(A)).seal(key, changed);
          if (
            connection !== undefined &&
            sealedCredentials !== undefined &&
            found.owner === connectionKey(key)
          )
            await connections.replace({ ...connection, sealedCredentials });
          yield found;
        }
      },
    };
    expect(await resealing(both, contested).pass()).toEqual({ resealed: 1, contested: 1, unopened: 0 });
    expect(await credentials(both)).toEqual(changed);
    expect(await resealing(both).pass()).toEqual({ resealed: 1, contested: 0, unopened: 0 });
    expect(await credentials(new Keyring(B))).toEqual(changed);
  });

  test('by whoever read the connection before is refused, for it would put the old seal back', async () => {
    await fill(A);
    const read = await connections.find(key);
    await resealing(both).pass();
    expect(read === undefined ? undefined : await connections.replace(read)).toBeUndefined();
  });
});

describe('a database of before keys had ids', () => {
  test('opens, and is sealed anew', async () => {
    const old = new Identity(new MongoApiKeys(db), deriveKey(A, 'api-keys'));
    await old.bootstrap(API_KEY);
    await insert(new Sealer(deriveKey(A, 'credentials')).seal(secret, connectionKey(key)));

    await expect((await anIdentity(A)).authenticate(API_KEY, new Date())).resolves.toMatchObject({
      id: 'boot',
    });
    expect(await credentials(new Keyring(A))).toEqual(secret);
    expect(await resealing(new Keyring(B, [A])).pass()).toMatchObject({ resealed: 2, unopened: 0 });
    expect(await credentials(new Keyring(B))).toEqual(secret);
    await expect((await anIdentity(B)).authenticate(API_KEY, new Date())).resolves.toMatchObject({
      id: 'boot',
    });
  });

  test('instances that start at once agree on the key of the hashes', async () => {
    const identities = await Promise.all(Array.from({ length: 8 }, () => anIdentity(A)));
    await identities[0]?.bootstrap(API_KEY);
    for (const identity of identities)
      await expect(identity.authenticate(API_KEY, new Date())).resolves.toMatchObject({ id: 'boot' });
  });
});
