import type { ClockDocument, StoreDatabase } from './mongo-collections.js';

/** What a model holds. */
export interface ModelCount {
  readonly model: string;
  readonly live: number;
  readonly quarantined: number;
}

/** Counts what a connection holds, without reading its records. */
export async function countConnection(
  db: StoreDatabase,
  uid: string,
): Promise<{ models: ModelCount[]; clock: ClockDocument | null }> {
  const [clock, models, quarantined] = await Promise.all([
    db.clocks.findOne({ _id: uid }),
    db.models.find({ c: uid }).toArray(),
    db.quarantine
      .aggregate<{ _id: string; count: number }>([
        { $match: { c: uid } },
        { $group: { _id: '$m', count: { $sum: 1 } } },
      ])
      .toArray(),
  ]);
  const live = new Map(models.map((model) => [model.m, model.live]));
  const faulty = new Map(quarantined.map(({ _id, count }) => [_id, count]));
  const names = [...new Set([...live.keys(), ...faulty.keys()])].sort();
  return {
    clock,
    models: names.map((model) => ({
      model,
      live: live.get(model) ?? 0,
      quarantined: faulty.get(model) ?? 0,
    })),
  };
}
