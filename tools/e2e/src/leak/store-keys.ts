import { createSecretKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StoreServiceDefinition, SyncKind } from '@tidemark/contracts';
import { Keyring, Sealer } from '@tidemark/model';
import { createClient } from '@tidemark/rpc';
import type { World } from '../world.js';

const DATABASE = 'tidemark_store';

type Driver = Awaited<ReturnType<World['driver']>>;
interface Bytes {
  readonly buffer: Uint8Array;
}

/** A connection as the store's database has it. */
export interface StoredConnection {
  readonly _id: string;
  readonly tenant: string;
  readonly name: string;
  readonly identityKey: Bytes;
  readonly payloadKeys: readonly { readonly e: number; readonly key: Bytes }[];
}

/** A pack of payloads as the store's database has it. */
export interface StoredPack {
  readonly _id: { readonly c: string; readonly n: number };
  readonly e: number;
  readonly p: Bytes;
}

/** The store's document of a connection; null if there is none. */
export async function storedConnection(driver: Driver, name: string): Promise<StoredConnection | null> {
  return driver.db(DATABASE).collection<StoredConnection & { _id: string }>('connections').findOne({ name });
}

/** All packs of a connection. */
export async function storedPacks(driver: Driver, c: string): Promise<StoredPack[]> {
  return driver.db(DATABASE).collection<StoredPack>('packs').find({ '_id.c': c }).toArray();
}

/** The last sequence that a connection gave out. */
export async function storedHead(driver: Driver, _id: string): Promise<number> {
  const clocks = driver.db(DATABASE).collection<{ _id: string; seq: number }>('clocks');
  return (await clocks.findOne({ _id }))?.seq ?? 0;
}

/** The index hashes of a connection's records. */
export async function storedHashes(driver: Driver, c: string): Promise<Uint8Array[]> {
  const records = driver.db(DATABASE).collection<{ c: string; h: Bytes[] }>('records');
  const indexed = await records.find({ c, h: { $exists: true } }).toArray();
  return indexed.flatMap(({ h }) => h.map(({ buffer }) => buffer));
}

/** Opens what the store sealed, as whoever has the master key and the database can. */
export class KeyHolder {
  private constructor(
    private readonly keyring: Keyring,
    private readonly internalToken: string,
  ) {}

  static async of(world: World): Promise<KeyHolder> {
    const secrets = JSON.parse(await readFile(join(world.dataDir, 'secrets.json'), 'utf8')) as Record<
      string,
      string
    >;
    const masterKey = Buffer.from(secrets['masterKey'] ?? '', 'base64');
    return new KeyHolder(new Keyring(masterKey), secrets['internalToken'] ?? '');
  }

  /** The bytes of a connection's keys. */
  keys({ _id, identityKey, payloadKeys }: StoredConnection): Uint8Array[] {
    return [identityKey, ...payloadKeys.map(({ key }) => key)].map(({ buffer }) =>
      this.keyring.open(buffer, 'connection-key', _id),
    );
  }

  /** Whether one of a connection's keys opens a pack. */
  opens({ _id, payloadKeys }: StoredConnection, pack: StoredPack): boolean {
    return payloadKeys.some(({ key }) => {
      const sealer = new Sealer(createSecretKey(this.keyring.open(key.buffer, 'connection-key', _id)));
      try {
        sealer.open(pack.p.buffer, `${pack._id.c}:${String(pack._id.n)}`);
        return true;
      } catch {
        return false;
      }
    });
  }

  /** The key of fingerprints that the store gives to whoever begins a run. */
  async fingerprintKey(
    world: World,
    { tenant: tenantId, name: connectionId }: StoredConnection,
    model: string,
  ): Promise<Uint8Array> {
    const log = await readFile(join(world.dataDir, 'logs', 'store.log'), 'utf8');
    const address = /"address":"([^"]+)"/.exec(log)?.[1] ?? '';
    const store = createClient(StoreServiceDefinition, address, {
      credential: { internalToken: this.internalToken },
    });
    try {
      const lease = { tenantId, connectionId, model, kind: SyncKind.DELTA, runId: 'probe', epoch: 1n };
      return (await store.beginRun({ lease })).fingerprintKey;
    } finally {
      store.close();
    }
  }
}
