import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { SyncKind, SyncRunState } from '@tidemark/contracts';
import { Chaos } from './chaos.js';
import { eventually } from './patience.js';
import { Wire } from './wire.js';

// A page of a scheduler that stood still is on its way to the store while another one has taken over: it comes to nothing.

/** Less than a page with its payloads. */
const PAGE_BYTES = 5_000;

let chaos: Chaos;
let wire: Wire | undefined;

beforeAll(async () => {
  chaos = await Chaos.start({
    deltaSeconds: 0,
    toStore: async (scheduler, address) => {
      if (scheduler !== 1) return address;
      wire = await Wire.to(address);
      return wire.address;
    },
  });
}, 120_000);

afterAll(async () => {
  await chaos.stop();
  await wire?.close();
}, 60_000);

/** A run as the control database has it, for the scheduler that the gateway asks may stand still. */
async function progress(id: string): Promise<{ attempts: number; pages: number }> {
  const run = await chaos.control.collection<{ _id: string }>('runs').findOne({ _id: id });
  const { attempts, counters } = run as unknown as { attempts: number; counters: { pages: number } };
  return { attempts, pages: counters.pages };
}

it('writes nothing that the one after it has not read itself', async () => {
  if (wire === undefined) throw new Error('no wire leads to the store');
  const held = wire;
  await chaos.cluster.end('scheduler-2');
  await chaos.stir(1);
  await chaos.editAll('early');
  const id = await chaos.ask(SyncKind.FULL);
  await eventually(
    async () => (await progress(id)).pages >= 3 || undefined,
    () => 'no page was committed',
  );
  held.hold();
  await eventually(
    () => held.held > PAGE_BYTES || undefined,
    () => 'no page was sent',
  );
  const thaw = chaos.cluster.freeze('scheduler-1');
  const before = await progress(id);
  // What is on its way is older than what the next reader finds.
  await chaos.editAll('late');
  await chaos.cluster.launch('scheduler-2');
  await eventually(
    async () => {
      const { attempts, pages } = await progress(id);
      return (attempts > before.attempts && pages > before.pages + 3) || undefined;
    },
    () => 'nobody took over',
  );
  held.release();
  thaw();
  const truth = await chaos.calm();
  const run = await chaos.end(id);
  expect(run).toMatchObject({ state: SyncRunState.SUCCEEDED, effort: { takeovers: 1 } });
  await chaos.end(await chaos.ask(SyncKind.DELTA));
  const full = await chaos.end(await chaos.ask(SyncKind.FULL));
  expect(full.discrepancies).toMatchObject({ created: 0n, updated: 0n, deleted: 0n });
  expect(await chaos.witness.stored()).toEqual(truth);
  await chaos.witness.expectTrue(truth);
}, 120_000);
