import { leaseDeadline, leaseId, type LeaseKey } from '@tidemark/model';
import { isDuplicateKey } from '@tidemark/mongo';
import type { Leases, OwnedLease } from './leases.js';
import type { ControlDatabase } from './mongo-collections.js';

const EXPIRED = { $lte: ['$expiresAt', '$$NOW'] };

/** Leases in the control database, timed by its clock alone. */
export class MongoLeases implements Leases {
  constructor(
    private readonly db: ControlDatabase,
    private readonly leaseMs: number,
  ) {}

  async acquire(key: LeaseKey, runId: string, owner: string): Promise<OwnedLease | undefined> {
    const askedAt = performance.now();
    const epoch =
      (await this.take(key, runId, owner)) ??
      ((await this.insert(key)) ? await this.take(key, runId, owner) : undefined);
    if (epoch === undefined) return undefined;
    return { key, runId, epoch, owner, deadline: leaseDeadline(askedAt, this.leaseMs) };
  }

  private async take(key: LeaseKey, runId: string, owner: string): Promise<number | undefined> {
    // Never below the clock: a lease made anew with its connection must not repeat an epoch of the one before.
    const epoch = { $max: [{ $add: ['$epoch', 1] }, { $toLong: '$$NOW' }] };
    const taken = await this.db.leases.findOneAndUpdate(
      { _id: leaseId(key), tenant: key.tenantId, $expr: EXPIRED },
      [{ $set: { epoch, owner, runId, expiresAt: this.expiry() } }],
      { returnDocument: 'after', projection: { epoch: 1 } },
    );
    return taken?.epoch;
  }

  /** Makes the free lease of a key; false if there is one. */
  private async insert(key: LeaseKey): Promise<boolean> {
    const free = { epoch: 0, owner: '', runId: '', expiresAt: new Date(0) };
    try {
      await this.db.leases.insertOne({
        _id: leaseId(key),
        tenant: key.tenantId,
        connection: key.connectionId,
        ...free,
      });
      return true;
    } catch (error) {
      if (isDuplicateKey(error)) return false;
      throw error;
    }
  }

  async renew(lease: OwnedLease): Promise<OwnedLease | undefined> {
    const askedAt = performance.now();
    // An expired lease that nobody took is still this owner's: the epoch proves that nothing happened between.
    const result = await this.db.leases.updateOne(this.own(lease), [{ $set: { expiresAt: this.expiry() } }]);
    return result.matchedCount === 1
      ? { ...lease, deadline: leaseDeadline(askedAt, this.leaseMs) }
      : undefined;
  }

  async release(lease: OwnedLease): Promise<void> {
    await this.db.leases.updateOne(this.own(lease), {
      $set: { owner: '', runId: '', expiresAt: new Date(0) },
    });
  }

  async alive(runs: readonly (LeaseKey & { readonly id: string })[]): Promise<ReadonlySet<string>> {
    if (runs.length === 0) return new Set();
    const filter = { _id: { $in: runs.map(leaseId) }, $expr: { $gt: ['$expiresAt', '$$NOW'] } };
    const leases = await this.db.leases.find(filter, { projection: { runId: 1 } }).toArray();
    return new Set(leases.map(({ runId }) => runId));
  }

  private own({ key, epoch, owner }: OwnedLease): {
    _id: string;
    tenant: string;
    epoch: number;
    owner: string;
  } {
    return { _id: leaseId(key), tenant: key.tenantId, epoch, owner };
  }

  private expiry(): object {
    return { $add: ['$$NOW', this.leaseMs] };
  }
}
