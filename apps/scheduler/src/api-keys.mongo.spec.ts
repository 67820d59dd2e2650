import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { deriveKey } from '@tidemark/model';
import { Identity } from './api-keys.js';
import type { ControlDatabase } from './mongo-collections.js';
import { MongoApiKeys } from './mongo-api-keys.js';
import { testControlDatabase } from './testing/control-database.js';

let database: Awaited<ReturnType<typeof testControlDatabase>>;
let db: ControlDatabase;
let identity: Identity;
const now = new Date();

beforeAll(async () => {
  database = await testControlDatabase();
  db = database.db;
  identity = new Identity(new MongoApiKeys(db), deriveKey(Buffer.alloc(32, 1), 'api-keys'));
  await identity.bootstrap('tm_boot_a-long-secret');
});
afterAll(() => database.drop());

test('the bootstrap key is an admin of tenant default', async () => {
  await expect(identity.authenticate('tm_boot_a-long-secret', now)).resolves.toMatchObject({
    id: 'boot',
    tenantId: 'default',
    roles: ['ADMIN'],
  });
});

test.each(['tm_boot_another-secret', 'tm_other_a-long-secret', 'nonsense'])('%s is refused', async (key) => {
  await expect(identity.authenticate(key, now)).rejects.toMatchObject({ reason: 'CREDENTIAL_INVALID' });
});

test('the secret is not in the database', async () => {
  const stored = await db.apiKeys.find().toArray();
  expect(JSON.stringify(stored)).not.toContain('a-long-secret');
});

test('a revoked key stays revoked, though it is configured again at the next start', async () => {
  await identity.bootstrap('tm_revoked_secret');
  await db.apiKeys.updateOne({ _id: 'revoked' }, { $set: { revokeTime: now } });
  await identity.bootstrap('tm_revoked_secret');
  await expect(identity.authenticate('tm_revoked_secret', now)).rejects.toMatchObject({
    reason: 'CREDENTIAL_INVALID',
  });
});
