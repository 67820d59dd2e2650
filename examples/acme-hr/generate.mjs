// Writes the exports of Acme's HR tool, the same at every run: node generate.mjs [FOLDER] [--force]
// Files that are there already are left as they are, so that what you edited stays; --force writes them anew.
import { existsSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const EMPLOYEES = 5_000;
const ABSENCES = 20_000;
const DAY = 86_400_000;
const TODAY = Date.UTC(2026, 0, 15);

const FIRST_NAMES =
  'Ada Grace Alan Edsger Barbara Donald Leslie Tony Niklaus Frances Radia Margaret Åsa Zoë José Nuño Łukasz Śmiltė Ørjan Çağla Đorđe Māra Νίκος Ольга 美咲 志明 राजेश שירה'.split(
    ' ',
  );
const LAST_NAMES =
  "Lovelace Hopper Turing Dijkstra Liskov Knuth Lamport Hoare Wirth Allen Perlman Hamilton Müller O'Neill García-López Nowak Jõgi Sørensen Yılmaz Petrović Bērziņš Παπαδόπουλος Иванова 佐藤 王 शर्मा כהן d'Almeida".split(
    ' ',
  );
const DEPARTMENTS =
  'Engineering Platform Mobile Data Security Design Product Research Quality Support Sales Marketing Partnerships Legal Finance Payroll Procurement People Recruiting Facilities'.split(
    ' ',
  );
const TITLES = [
  'Engineer',
  'Engineer, Senior',
  'Engineer, Principal',
  'Analyst',
  'Manager',
  'Manager, Regional',
  'Designer',
  'Specialist "Level 2"',
];
const CITIES = [
  ['Berlin', 'DE'],
  ['Bonn', 'DE'],
  ['Zürich', 'CH'],
  ['København', 'DK'],
  ['São Paulo', 'BR'],
  ['Kraków', 'PL'],
  ['Osaka', 'JP'],
  ['Austin', 'US'],
];
const NOTES = [
  '',
  '',
  '',
  '',
  '',
  '',
  '',
  'Mentors new hires',
  'Said: "ask me first"',
  'Works Mon, Tue, Thu',
  'Badge lost.\nNew one ordered,\nsee ticket',
  'Parking spot; garage B',
];
const SKILLS = ['typescript', 'sql', 'negotiation', 'první pomoc', 'c++', 'figma'];
const ABSENCE_KINDS = ['VACATION', 'VACATION', 'VACATION', 'TRAINING', 'PUBLIC_DUTY', 'UNPAID'];

/** A seeded generator of numbers in [0, 1): mulberry32. */
function randomFrom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function dice(seed) {
  const random = randomFrom(seed);
  const below = (limit) => Math.floor(random() * limit);
  return {
    below,
    pick: (list) => list[below(list.length)],
    date: (from, days) => isoDate(from + below(days) * DAY),
  };
}

const isoDate = (time) => new Date(time).toISOString().slice(0, 10);
const pad = (number, digits) => String(number).padStart(digits, '0');
const employeeId = (number) => `emp-${pad(number, 5)}`;
const departmentId = (number) => `dep-${pad(number, 2)}`;

function departments() {
  const { pick } = dice(1);
  return Array.from({ length: DEPARTMENTS.length * 2 }, (_, i) => ({
    id: departmentId(i + 1),
    name:
      i < DEPARTMENTS.length ? DEPARTMENTS[i] : `${DEPARTMENTS[i - DEPARTMENTS.length]}, ${pick(CITIES)[0]}`,
    parent_id: i < DEPARTMENTS.length ? '' : departmentId(i - DEPARTMENTS.length + 1),
    cost_center: 1000 + i * 10,
    head_id: employeeId(i * 7 + 1),
    active: i % 13 === 12 ? 'false' : 'true',
  }));
}

function employees() {
  const { below, pick, date } = dice(2);
  return Array.from({ length: EMPLOYEES }, (_, i) => {
    const [city, country] = pick(CITIES);
    const left = below(20) === 0;
    return {
      id: employeeId(i + 1),
      employee_number: i + 1,
      first_name: pick(FIRST_NAMES),
      last_name: pick(LAST_NAMES),
      work_email: `user${i + 1}@acme.example`,
      job_title: pick(TITLES),
      department_id: departmentId(1 + below(DEPARTMENTS.length * 2)),
      manager_id: i === 0 ? '' : employeeId(1 + Math.floor(i / 9)),
      status: left ? 'LEFT' : 'ACTIVE',
      start_date: date(Date.UTC(2012, 0, 1), 5_000),
      end_date: left ? date(Date.UTC(2025, 8, 1), 120) : '',
      city,
      country,
      weekly_hours: pick(['40.00', '40.00', '38.50', '32.00', '19.25']),
      remote: pick(['true', 'false']),
      skills: JSON.stringify([...new Set([pick(SKILLS), pick(SKILLS)])]),
      notes: pick(NOTES),
      ssn: `9${pad(below(100), 2)}-${pad(below(100), 2)}-${pad(below(10_000), 4)}`,
      date_of_birth: date(Date.UTC(1960, 0, 1), 16_000),
      salary: 40_000 + below(90_000),
      home_address: `${1 + below(200)} ${pick(LAST_NAMES)} Street, ${city}`,
    };
  });
}

function absences() {
  const { below, pick } = dice(3);
  return Array.from({ length: ABSENCES }, (_, i) => {
    const start = TODAY - below(700) * DAY;
    const days = 1 + below(10);
    return {
      id: `abs-${pad(i + 1, 6)}`,
      employee_id: employeeId(1 + below(EMPLOYEES)),
      kind: pick(ABSENCE_KINDS),
      start_date: isoDate(start),
      end_date: isoDate(start + (days - 1) * DAY),
      days: below(5) === 0 ? days - 0.5 : days,
      approval: {
        status: pick(['APPROVED', 'APPROVED', 'REQUESTED', 'DECLINED']),
        by: employeeId(1 + below(500)),
      },
      comment: pick([
        null,
        null,
        'Family visit',
        'Über die Feiertage, wie jedes Jahr',
        '"Long weekend"\nback on Monday',
      ]),
    };
  });
}

function csv(rows) {
  const cell = (value) =>
    /[",\r\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value);
  const lines = [Object.keys(rows[0]), ...rows.map((row) => Object.values(row))];
  return lines.map((cells) => `${cells.map(cell).join(',')}\n`).join('');
}

const jsonLines = (rows) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

const FILES = {
  'departments.csv': () => csv(departments()),
  'employees.csv': () => csv(employees()),
  'absences.jsonl': () => jsonLines(absences()),
};

async function generate(folder, force) {
  await mkdir(folder, { recursive: true });
  for (const [name, content] of Object.entries(FILES)) {
    const path = join(folder, name);
    if (existsSync(path) && !force) {
      console.log(`${path} is there already`);
      continue;
    }
    // Renamed when it is whole, so that nobody ever reads half a file.
    await writeFile(`${path}.part`, content());
    await rename(`${path}.part`, path);
    console.log(`${path} written`);
  }
}

const args = process.argv.slice(2);
const unknown = args.filter((arg) => arg.startsWith('-') && arg !== '--force');
const folders = args.filter((arg) => !arg.startsWith('-'));
if (unknown.length > 0 || folders.length > 1) {
  console.error('usage: node generate.mjs [FOLDER] [--force]');
  process.exit(2);
}
await generate(folders[0] ?? fileURLToPath(new URL('./exports', import.meta.url)), args.includes('--force'));
