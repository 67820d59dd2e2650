import { join, relative } from 'node:path';
import { DATA_FOLDER } from '../target.js';
import { formatTime } from '../time.js';
import { SAMPLE_CONNECTION, SAMPLE_FOLDER } from './sample.js';

/** Commands that work as they stand in the folder where `tidemark up` was typed; `mirroredAt` is when the sample was complete. */
export function nextSteps(cwd: string, dataDir: string, mirroredAt: Date): string[] {
  const csv = relative(cwd, join(SAMPLE_FOLDER, 'exports', 'employees.csv'));
  const isFound = relative(cwd, dataDir) === DATA_FOLDER;
  return [
    'Try next, in a second terminal:',
    ...(isFound ? [] : [`  export TIDEMARK_DATA=${dataDir}`]),
    '  npx tidemark status',
    `  npx tidemark records list ${SAMPLE_CONNECTION} employees --limit 5`,
    `  npx tidemark changes watch ${SAMPLE_CONNECTION}`,
    `and in a third, after editing a row of ${csv}:`,
    `  npx tidemark sync run ${SAMPLE_CONNECTION} --full --wait`,
    `  npx tidemark records list ${SAMPLE_CONNECTION} employees --updated-after ${formatTime(mirroredAt)} --json`,
  ];
}
