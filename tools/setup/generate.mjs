import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './install.mjs';
import { say } from './say.mjs';

// `npm run generate` writes libs/contracts/src/gen and its descriptor set from proto/; with `--check` it fails when that changed anything.
const GENERATED = 'libs/contracts/src/gen';
const DESCRIPTORS = 'libs/contracts/descriptor.binpb';

const before = contents();
buf('generate');
buf('build', '-o', DESCRIPTORS, '--as-file-descriptor-set');
if (process.argv.includes('--check')) {
  const after = contents();
  const stale = [...new Set([...before.keys(), ...after.keys()])].filter(
    (file) => before.get(file) !== after.get(file),
  );
  if (stale.length > 0) {
    say(`generated code is not current: ${stale.join(', ')}; run npm run generate and commit the result.`);
    process.exit(1);
  }
}

function buf(...args) {
  const command = join('node_modules', '.bin', 'buf');
  const { status } = spawnSync(command, args, {
    cwd: ROOT,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (status !== 0) {
    say(`buf ${args[0]} failed; its reason stands above.`);
    process.exit(1);
  }
}

/** The digest of each generated file by its path. */
function contents() {
  const folder = join(ROOT, GENERATED);
  const names = existsSync(folder) ? readdirSync(folder, { recursive: true }) : [];
  const generated = [...names.map((name) => join(GENERATED, name)), DESCRIPTORS];
  const files = generated.filter(
    (name) => existsSync(join(ROOT, name)) && statSync(join(ROOT, name)).isFile(),
  );
  return new Map(
    files.map((name) => [
      name,
      createHash('sha256')
        .update(readFileSync(join(ROOT, name)))
        .digest('hex'),
    ]),
  );
}
