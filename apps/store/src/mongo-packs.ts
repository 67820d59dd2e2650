import { canonicalJson, parseJson, TidemarkError, type ScopeNode } from '@tidemark/model';
import { Binary, type ClientSession, type FindCursor } from 'mongodb';
import { sealerOf, type KeyCabinet } from './connection-keys.js';
import type { ConnectionDocument, PackDocument, StoreDatabase } from './mongo-collections.js';
import { notFound, scopeNode } from './mongo-connections.js';
import { encodePack, Pack, packEnds } from './pack.js';

/** Packs asked for at first, and bytes of them asked for at a time from then on; replies are bounded by MongoDB's 16 MB. */
const FIRST_CHUNK = 16;
const CHUNK_BYTES = 2 * 1024 * 1024;

/** Payloads of one commit, compressed, before their sequences are known. */
export interface PackDraft {
  /** Index after its last payload, among those of the commit. */
  readonly end: number;
  readonly encoded: Buffer;
}

/** Canonical JSON, or nothing. */
export type Payload = Uint8Array | undefined;

/** What a document says of where its payload is. */
export interface Payloaded {
  readonly s: number;
  readonly k?: number;
}

/** Where payloads are kept: compressed and sealed, many together, found by the sequence of their change. */
export class MongoPacks {
  constructor(
    readonly db: StoreDatabase,
    readonly cabinet: KeyCabinet,
  ) {}

  /** Compresses the payloads of changes; `undefined` for a change that has none. */
  draft(payloads: readonly (Uint8Array | undefined)[]): PackDraft[] {
    let start = 0;
    return packEnds(payloads.map((payload) => payload?.byteLength ?? 0)).flatMap((end) => {
      const entries = payloads
        .slice(start, end)
        .flatMap((payload, index) => (payload ? [{ back: end - 1 - start - index, payload }] : []));
      start = end;
      return entries.length > 0 ? [{ end, encoded: encodePack(entries) }] : [];
    });
  }

  /** Seals drafts whose first change has the sequence `first`. */
  seal(
    connection: ConnectionDocument,
    model: string,
    drafts: readonly PackDraft[],
    first: number,
  ): PackDocument[] {
    return drafts.map(({ end, encoded }) => this.toDocument(connection, model, first + end - 1, encoded));
  }

  /** A pack's document, sealed under the connection's newest key. */
  toDocument(connection: ConnectionDocument, m: string, n: number, encoded: Uint8Array): PackDocument {
    const c = connection._id;
    const keys = this.cabinet.open(connection);
    const sealed = sealerOf(keys, keys.current).seal(encoded, owner(c, n));
    return { _id: { c, n }, c, m, e: keys.current, g: connection.scope.revision, p: new Binary(sealed) };
  }

  async insert(session: ClientSession, packs: PackDocument[]): Promise<void> {
    if (packs.length > 0) await this.db.packs.insertMany(packs, { session });
  }

  /** What was sealed of a pack: its payloads, compressed. */
  unseal(connection: ConnectionDocument, { _id: { c, n }, e, p }: PackDocument): Uint8Array {
    return sealerOf(this.cabinet.open(connection), e).open(p.buffer, owner(c, n));
  }

  /** Opens a pack as it is stored, whatever the scope says now. */
  open(connection: ConnectionDocument, pack: PackDocument): Pack {
    return new Pack(this.unseal(connection, pack), pack._id.n);
  }

  /**
   * Documents, given in order of sequence, together with what reads their payloads: all of one pack at a time, and one pack
   * opened at a time. What was sealed before the scope last became narrower is cut to it.
   */
  async *groups<T extends Payloaded>(
    connection: ConnectionDocument,
    documents: readonly T[],
    signal?: AbortSignal,
  ): AsyncGenerator<{ readonly documents: readonly T[]; readonly payloadOf: (document: T) => Payload }> {
    const packs = new PackCursor(this, connection, documents, signal);
    try {
      for (let start = 0, end = 0; start < documents.length; start = end) {
        const k = documents[start]?.k;
        while (end < documents.length && documents[end]?.k === k) end++;
        const pack = k === undefined ? undefined : await packs.seek(k);
        yield { documents: documents.slice(start, end), payloadOf: ({ s }) => pack?.read(s) };
      }
    } finally {
      await packs.close();
    }
  }

  /** The same, document by document. The payload is undefined where there is none, or none any more. */
  async *payloads<T extends Payloaded>(
    connection: ConnectionDocument,
    documents: readonly T[],
  ): AsyncGenerator<readonly [document: T, payload: Payload]> {
    for await (const { documents: group, payloadOf } of this.groups(connection, documents))
      for (const document of group) yield [document, payloadOf(document)];
  }

  /** The payload of one document. Throws as `lost` does where it should have one. */
  async payload(connection: ConnectionDocument, document: Payloaded & { m: string }): Promise<Payload> {
    for await (const [, payload] of this.payloads(connection, [document])) {
      if (payload === undefined && document.k !== undefined) throw await this.lost(connection, document.m);
      return payload;
    }
    return undefined;
  }

  /** Why a payload that was there is gone: its connection, its model or its time is over. */
  async lost({ _id, tenant, name }: ConnectionDocument, model: string): Promise<TidemarkError> {
    const now = await this.db.connections.findOne({ _id, tenant, name });
    if (now === null || now.removing) return notFound();
    if (scopeNode(now, model) === undefined || now.purge?.removed.includes(model))
      return new TidemarkError('MODEL_NOT_FOUND', 'the model has left the scope of the connection');
    return new TidemarkError('CURSOR_EXPIRED', 'this part of the history is no longer kept; read in full');
  }

  /**
   * Opens a pack for readers, wherever it came from: if it was sealed anew since, as it is now, under the keys that the
   * connection has now. Undefined if it is gone.
   */
  async openForReading(connection: ConnectionDocument, pack: PackDocument): Promise<OpenPack | undefined> {
    if (hasKey(connection, pack)) return new OpenPack(this.open(connection, pack), connection, pack);
    const now = await this.db.connections.findOne({ _id: connection._id });
    if (now === null || now.removing) throw notFound();
    if (hasKey(now, pack)) return new OpenPack(this.open(now, pack), connection, pack);
    // Its key was destroyed: before that, everything under it was sealed anew, or removed.
    const current = await this.db.packs.findOne({ _id: pack._id });
    if (current === null) return undefined;
    if (current.e !== pack.e) return this.openForReading(connection, current);
    return new OpenPack(this.open(now, current), connection, current);
  }
}

/** The packs of documents, in their order. */
class PackCursor {
  readonly #wanted: readonly number[];
  /** How many of the wanted were asked for, and how many at a time: more where they turn out to be small. */
  #asked = 0;
  #chunk = FIRST_CHUNK;
  #cursor: FindCursor<PackDocument> | undefined;
  #bytes = 0;
  #next: PackDocument | undefined;
  #current: OpenPack | undefined;

  constructor(
    readonly packs: MongoPacks,
    readonly connection: ConnectionDocument,
    documents: readonly Payloaded[],
    readonly signal: AbortSignal | undefined,
  ) {
    this.#wanted = [...new Set(documents.flatMap(({ k }) => (k === undefined ? [] : [k])))];
  }

  /** The pack under a number, which is not below the one before; undefined if it is gone. */
  async seek(n: number): Promise<OpenPack | undefined> {
    if (this.#current?.pack.last === n) return this.#current;
    this.#current = undefined;
    while (this.#next === undefined || this.#next._id.n < n) {
      this.#next = (await this.#cursor?.next()) ?? undefined;
      if (this.#next !== undefined) this.#bytes += this.#next.p.length();
      else if (!(await this.#ask())) return undefined;
    }
    if (this.#next._id.n !== n) return undefined;
    return (this.#current = await this.packs.openForReading(this.connection, this.#next));
  }

  /** Asks for more of those wanted; whether there are any. */
  async #ask(): Promise<boolean> {
    await this.#cursor?.close();
    if (this.#asked === this.#wanted.length) return false;
    if (this.#asked > 0)
      this.#chunk = Math.max(FIRST_CHUNK, Math.floor((CHUNK_BYTES * this.#asked) / Math.max(1, this.#bytes)));
    const numbers = this.#wanted.slice(this.#asked, this.#asked + this.#chunk);
    this.#asked += numbers.length;
    const filter = { _id: { $in: numbers.map((n) => ({ c: this.connection._id, n })) } };
    const options = { sort: { _id: 1 }, batchSize: numbers.length + 1 } as const;
    this.#cursor = this.packs.db.packs.find(
      filter,
      this.signal ? { ...options, signal: this.signal } : options,
    );
    return true;
  }

  async close(): Promise<void> {
    await this.#cursor?.close();
  }
}

/** A pack as readers may see it. */
export class OpenPack {
  readonly #scope: ScopeNode | undefined;
  readonly #outdated: boolean;

  constructor(
    readonly pack: Pack,
    connection: ConnectionDocument,
    { g, m }: PackDocument,
  ) {
    this.#outdated = g < connection.floor;
    this.#scope = this.#outdated ? scopeNode(connection, m) : undefined;
  }

  /** The payload of a change, within the scope; undefined if its model left the scope, or it is gone. */
  read(sequence: number): Uint8Array | undefined {
    const payload = this.pack.get(sequence);
    if (payload === undefined || !this.#outdated) return payload;
    return this.#scope && cutPayload(payload, this.#scope);
  }
}

/** A payload without what lies outside a scope, in canonical form. */
export function cutPayload(payload: Uint8Array, scope: ScopeNode): Uint8Array {
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString();
  return Buffer.from(canonicalJson(parseJson(text), scope).text);
}

function hasKey({ payloadKeys }: ConnectionDocument, pack: PackDocument): boolean {
  return payloadKeys.some(({ e }) => e === pack.e);
}

function owner(c: string, n: number): string {
  return `${c}:${n}`;
}
