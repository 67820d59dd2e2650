import { createWriteStream } from 'node:fs';
import { once } from 'node:events';

const DAY_MS = 86_400_000;
const FIRST_UPDATE = 1_760_000_000_000;
const NAMES = [
  ...['Ada', 'Grace', 'Alan', 'Edsger', 'Barbara', 'Donald', 'Leslie', 'Tony'],
  ...['Niklaus', 'Frances', 'Radia', 'Margaret', 'Linus', 'Ken', 'Dennis', 'Brian'],
];

/** The source at one moment: which employees it holds, and how often each was edited. */
export interface SourceState {
  readonly count: number;
  readonly holds: (i: number) => boolean;
  readonly edits: (i: number) => number;
}

/** Employees 0 to `count - 1`, never edited. */
export function initial(count: number): SourceState {
  return { count, holds: (i) => i < count, edits: () => 0 };
}

/** A day later: 1 % edited, 0.5 % gone and 0.5 % new. */
export function churned(state: SourceState): SourceState {
  const { count, edits } = state;
  return {
    count: count + Math.floor(count / 200),
    holds: (i) => i >= count || (i % 200 !== 11 && state.holds(i)),
    edits: (i) => edits(i) + (i < count && i % 100 === 7 ? 1 : 0),
  };
}

/** Every employee edited. */
export function edited(state: SourceState): SourceState {
  return { ...state, edits: (i) => state.edits(i) + 1 };
}

/** So many employees edited, evenly spread over the source. */
export function editedHereAndThere(state: SourceState, changes: number): SourceState {
  const step = Math.max(1, Math.floor(state.count / changes));
  const last = step * changes;
  return { ...state, edits: (i) => state.edits(i) + (i % step === 0 && i < last ? 1 : 0) };
}

/** So many employees edited that follow each other, in the middle of the source. */
export function editedInOnePlace(state: SourceState, changes: number): SourceState {
  const first = Math.max(0, Math.floor((state.count - changes) / 2));
  return { ...state, edits: (i) => state.edits(i) + (i >= first && i < first + changes ? 1 : 0) };
}

/** The numbers of the employees that a state holds. */
export function* employeeNumbers({ count, holds }: SourceState): Generator<number> {
  for (let i = 0; i < count; i++) if (holds(i)) yield i;
}

/** Writes a state of the source as JSON Lines. */
export async function writeWorkload(path: string, state: SourceState): Promise<void> {
  const out = createWriteStream(path);
  for (const i of employeeNumbers(state)) {
    if (!out.write(`${JSON.stringify(employee(i, state.edits(i)))}\n`)) await once(out, 'drain');
  }
  out.end();
  await once(out, 'close');
}

const key = (i: number): string => `emp-${String(i).padStart(8, '0')}`;
const name = (i: number, salt: number): string =>
  NAMES[(Math.imul(i + 1, 2_654_435_761) >>> (salt * 3)) & 15] ?? '';

/** Employee `i` after so many edits, about 0.8 KB of JSON; the same in every run. */
export function employee(i: number, edits: number) {
  return {
    id: key(i),
    employee_number: `E${i}`,
    first_name: name(i, 1),
    last_name: `${name(i, 2)}son`,
    work_email: `user${i}@example.com`,
    personal_email: `home${i}@example.org`,
    job_title: edits === 0 ? 'Engineer' : `Principal Engineer ${edits}`,
    department: `dept-${i % 120}`,
    manager_id: key(Math.floor(i / 9)),
    employment_status: i % 31 === 0 ? 'INACTIVE' : 'ACTIVE',
    employment_type: 'FULL_TIME',
    start_date: `20${10 + (i % 15)}-0${1 + (i % 9)}-1${i % 10}`,
    termination_date: null,
    date_of_birth: `19${60 + (i % 40)}-0${1 + (i % 9)}-2${i % 9}`,
    ssn: `9${String(i).padStart(8, '0')}`,
    salary: 40_000 + ((i * 37) % 90_000) + 5_000 * edits,
    currency: 'EUR',
    home_address: {
      street_1: `${i % 999} ${name(i, 3)} Street`,
      street_2: null,
      city: `City ${i % 500}`,
      zip: String(10_000 + (i % 89_999)),
      state: 'BE',
      country: 'DE',
    },
    work_location: { id: `loc-${i % 40}`, name: `Office ${i % 40}`, country: 'DE' },
    custom_fields: {
      tshirt: 'SML'[i % 3],
      badge: i * 7,
      notes: `Lorem ipsum dolor sit amet, consectetur adipiscing elit ${name(i, 4)} ${name(i, 5)}`,
      skills: [name(i, 6), name(i, 7), name(i, 8)],
    },
    updated_at: new Date(FIRST_UPDATE + i * 1_000 + edits * 30 * DAY_MS).toISOString(),
  };
}

/** The fields of an employee. */
export const EMPLOYEE_FIELDS: readonly string[] = Object.keys(employee(0, 0));
