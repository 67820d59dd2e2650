import type { SyncKind } from '@tidemark/contracts';
import type { Api } from './cluster.js';
import { patiently } from './patience.js';

/** A connection to a living source of the same name. */
export interface LivingConnection {
  readonly id: string;
  readonly connector?: string;
  /** In seconds; 0: never by itself. */
  readonly fullEvery: number;
  readonly deltaEvery: number;
  readonly guard?: { readonly maxDeletedShare: number; readonly minDeletedRecords: number };
  /** Its first sync is the schedule's. */
  readonly withoutSync?: boolean;
}

/** Makes a connection to a living source; gives back the ids of its first runs. */
export async function connectLiving(
  { connections }: Api,
  plan: LivingConnection,
): Promise<readonly string[]> {
  const { id, connector = 'living', guard, withoutSync = false } = plan;
  const schedule = { fullInterval: seconds(plan.fullEvery), deltaInterval: seconds(plan.deltaEvery) };
  const config = Buffer.from(JSON.stringify({ source: id }));
  const spec = { id, connector, config, schedule, ...(guard === undefined ? {} : { guard }) };
  return (await connections.createConnection({ spec, withoutSync })).runIds;
}

/** Asks for a run of a connection's one model; gives back its id. */
export async function askFor({ syncs }: Api, connectionId: string, kind: SyncKind): Promise<string> {
  const { runs } = await patiently(() => syncs.runSync({ connectionId, kind }));
  return runs[0]?.id ?? '';
}

function seconds(count: number): { seconds: bigint; nanos: number } {
  return { seconds: BigInt(count), nanos: 0 };
}
