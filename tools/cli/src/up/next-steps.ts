import { relative } from 'node:path';
import { DATA_FOLDER } from '../target.js';
import { SAMPLE_CONNECTION, SAMPLE_FOLDER } from './sample.js';

/** Commands that work as they stand in the folder where `tidemark up` was typed. */
export function nextSteps(cwd: string, dataDir: string): string[] {
  const exports = relative(cwd, `${SAMPLE_FOLDER}/exports/employees.csv`);
  const commands = [
    ['npx tidemark status', 'how the connection stands'],
    [`npx tidemark records list ${SAMPLE_CONNECTION} employees --limit 5`, 'records'],
    [
      `npx tidemark changes watch ${SAMPLE_CONNECTION}`,
      `changes, live; in a second terminal: edit ${exports} and`,
    ],
    [`npx tidemark sync run ${SAMPLE_CONNECTION} --full --wait`, 'sync now'],
    [
      `npx tidemark records list ${SAMPLE_CONNECTION} employees --updated-after -10m --json`,
      'only what changed',
    ],
  ] as const;
  const width = Math.max(...commands.map(([command]) => command.length));
  const found = relative(cwd, dataDir) === DATA_FOLDER;
  return [
    'Try next:',
    ...(found ? [] : [`  (first: export TIDEMARK_DATA=${dataDir})`]),
    ...commands.map(([command, what]) => `  ${command.padEnd(width)}  # ${what}`),
  ];
}
