import type { SyncRunState } from '@tidemark/model';
import { CollectionWatch } from './mongo-collection-watch.js';
import type { ControlDatabase } from './mongo-collections.js';

/** Told of runs that came into another state, and of what went wrong. */
export interface RunMoveListener {
  onMove(runId: string, state: SyncRunState): void;
  onError(error: unknown): void;
}

const PIPELINE = [
  {
    $match: {
      $or: [{ operationType: 'insert' }, { 'updateDescription.updatedFields.state': { $exists: true } }],
    },
  },
  { $project: { documentKey: 1, 'fullDocument.state': 1, 'updateDescription.updatedFields.state': 1 } },
];

interface Change {
  readonly documentKey: { readonly _id: string };
  readonly fullDocument?: { readonly state: SyncRunState };
  readonly updateDescription?: { readonly updatedFields: { readonly state: SyncRunState } };
}

/** Watches which states runs come into, in whatever process: costs no write, and tells within milliseconds. */
export class RunMoves extends CollectionWatch {
  constructor(db: ControlDatabase, listener: RunMoveListener) {
    super(db.runs, PIPELINE, {
      onChange: (change) => {
        const { documentKey, fullDocument, updateDescription } = change as Change;
        const state = updateDescription?.updatedFields.state ?? fullDocument?.state;
        if (state !== undefined) listener.onMove(documentKey._id, state);
      },
      onError: (error) => listener.onError(error),
    });
  }
}
