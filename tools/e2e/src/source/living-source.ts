import { behaviour, type Changing, type Deed, type Fault, type Wish, type Change } from './deed.js';
import { LivingModel } from './living-model.js';

/** One read that was asked for. */
export interface ReadNote {
  readonly model: string;
  readonly sync: 'FULL' | 'DELTA';
  /** The position in the checkpoint; null: none was given. */
  readonly checkpoint: unknown;
  readonly overlapMs: number | null;
  /** By this machine's clock, in milliseconds. */
  readonly startTime: number;
  /** Pages given out. */
  pages: number;
}

/** What a page is asked of. */
export interface PageOf {
  readonly model: string;
  readonly sync: 'FULL' | 'DELTA';
  readonly page: number;
}

const MOST_READS = 10_000;

/** One source inside the process: what it holds, how it behaves, and what was read of it. Only deeds change what outlives the process. */
export class LivingSource {
  readonly models = new Map<string, LivingModel>();
  readonly changing = new Map<string, Changing>();
  behaviour = behaviour.parse({});
  faults: Fault[] = [];
  reads: ReadNote[] = [];

  constructor(readonly name: string) {}

  apply(deed: Deed): void {
    switch (deed.do) {
      case 'behave':
        this.behaviour = deed.behaviour;
        break;
      case 'change':
        this.model(deed.model).apply(deed.changes);
        break;
      case 'keepChanging':
        if (deed.changing === undefined) this.changing.delete(deed.model);
        else this.changing.set(deed.model, deed.changing);
        break;
      case 'fail':
        this.faults = [...deed.faults];
        break;
      case 'strike':
        this.faults = afterStrike(this.faults, deed.fault);
    }
  }

  /** A model; it is there from when it is first named. */
  model(name: string): LivingModel {
    const model = this.models.get(name) ?? new LivingModel();
    this.models.set(name, model);
    return model;
  }

  /** The source's clock, in milliseconds, as fine as it tells the time. */
  now(): number {
    return this.whole(Date.now() + this.behaviour.clockOffsetMs);
  }

  /** The next states of records as a test wishes them. */
  next(model: string, wishes: readonly Wish[]): Change[] {
    const now = this.now();
    return wishes.map(({ id, fields, deleted, agoMs }) => {
      const before = this.model(model).get(id);
      const time = this.whole(now - agoMs);
      return { id, n: (before?.n ?? 0) + 1, time, deleted, fields: fields ?? before?.fields ?? {} };
    });
  }

  /** Which of its faults strikes a page, if one does. */
  faultOf({ model, sync, page }: PageOf): number | undefined {
    const index = this.faults.findIndex(
      (fault) =>
        (fault.model ?? model) === model && (fault.sync ?? sync) === sync && (fault.page ?? page) === page,
    );
    return index < 0 ? undefined : index;
  }

  note(read: ReadNote): void {
    this.reads.push(read);
    if (this.reads.length > MOST_READS) this.reads.shift();
  }

  private whole(time: number): number {
    return time - (time % this.behaviour.granularityMs);
  }
}

function afterStrike(faults: readonly Fault[], struck: number): Fault[] {
  return faults.flatMap((fault, index) => {
    if (index !== struck || fault.times === 0) return [fault];
    return fault.times === 1 ? [] : [{ ...fault, times: fault.times - 1 }];
  });
}
