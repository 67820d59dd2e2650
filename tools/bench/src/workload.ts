import { createWriteStream } from 'node:fs';
import { once } from 'node:events';

const DAY_MS = 86_400_000;
const FIRST_UPDATE = 1_760_000_000_000;
const NAMES = [
  ...['Ada', 'Grace', 'Alan', 'Edsger', 'Barbara', 'Donald', 'Leslie', 'Tony'],
  ...['Niklaus', 'Frances', 'Radia', 'Margaret', 'Linus', 'Ken', 'Dennis', 'Brian'],
];

/** Which state of the source: `2` is a day later, with 1 % changed, 0.5 % gone and 0.5 % new. */
export type WorkloadVersion = 1 | 2;

const key = (i: number): string => `emp-${String(i).padStart(8, '0')}`;
const name = (i: number, salt: number): string =>
  NAMES[(Math.imul(i + 1, 2_654_435_761) >>> (salt * 3)) & 15] ?? '';

/** Employee `i`, about 0.8 KB of JSON; the same in every run. */
export function employee(i: number, version: WorkloadVersion): object {
  const changed = version === 2 && i % 100 === 7;
  return {
    id: key(i),
    employee_number: `E${i}`,
    first_name: name(i, 1),
    last_name: `${name(i, 2)}son`,
    work_email: `user${i}@example.com`,
    personal_email: `home${i}@example.org`,
    job_title: changed ? 'Principal Engineer' : 'Engineer',
    department: `dept-${i % 120}`,
    manager_id: key(Math.floor(i / 9)),
    employment_status: i % 31 === 0 ? 'INACTIVE' : 'ACTIVE',
    employment_type: 'FULL_TIME',
    start_date: `20${10 + (i % 15)}-0${1 + (i % 9)}-1${i % 10}`,
    termination_date: null,
    date_of_birth: `19${60 + (i % 40)}-0${1 + (i % 9)}-2${i % 9}`,
    ssn: `9${String(i).padStart(8, '0')}`,
    salary: 40_000 + ((i * 37) % 90_000) + (changed ? 5_000 : 0),
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
    updated_at: new Date(FIRST_UPDATE + i * 1_000 + (changed ? 30 * DAY_MS : 0)).toISOString(),
  };
}

/** The numbers of the employees that a version of the source holds. */
export function* employeeNumbers(count: number, version: WorkloadVersion): Generator<number> {
  for (let i = 0; i < count; i++) if (version === 1 || i % 200 !== 11) yield i;
  if (version === 2) for (let i = count; i < count + Math.floor(count / 200); i++) yield i;
}

/** Writes a version of the source as JSON Lines. */
export async function writeWorkload(path: string, count: number, version: WorkloadVersion): Promise<void> {
  const out = createWriteStream(path);
  for (const i of employeeNumbers(count, version)) {
    if (!out.write(`${JSON.stringify(employee(i, version))}\n`)) await once(out, 'drain');
  }
  out.end();
  await once(out, 'close');
}
