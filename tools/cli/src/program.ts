import { Command } from 'commander';
import { Cli, type Register } from './cli.js';
import { changes } from './commands/changes.js';
import { connections } from './commands/connections.js';
import { connectors } from './commands/connectors.js';
import { quarantine } from './commands/quarantine.js';
import { records } from './commands/records.js';
import { scope } from './commands/scope.js';
import { status } from './commands/status.js';
import { sync } from './commands/sync.js';
import { up } from './commands/up.js';
import type { TargetOptions } from './target.js';

const NOUNS: readonly Register[] = [
  up,
  status,
  connectors,
  connections,
  scope,
  sync,
  records,
  changes,
  quarantine,
];

/** Options that every command takes. */
interface Globals extends TargetOptions {
  readonly json?: boolean;
}

/** What the process gives to the command line. */
export type Surroundings = Pick<Cli, 'env' | 'cwd' | 'out' | 'notes' | 'signal'>;

/** Puts the command line together. */
export function createProgram({ env, cwd, out, notes, signal }: Surroundings, version: string) {
  const program = new Command('tidemark')
    .description('mirrors the data of other systems into MongoDB and keeps it fresh')
    // `--version` belongs to `records get`; main.ts takes it for `-V` where it comes first.
    .version(version, '-V', 'print the version (also --version)')
    .option('--json', 'print JSON: one object, or one object a line')
    .option(
      '--address <host:port>',
      'the gateway (default: TIDEMARK_ADDRESS, else what tidemark up wrote, else 127.0.0.1:7100)',
    )
    .option('--api-key <key>', 'the API key (default: TIDEMARK_API_KEY, else what tidemark up wrote)')
    .showHelpAfterError('Add --help to see what there is.')
    .configureHelp({ showGlobalOptions: true })
    .exitOverride();
  const cli = new Cli(env, cwd, out, notes, signal, () => program.opts<Globals>());
  for (const register of NOUNS) {
    register(program, cli);
  }
  return { program, cli };
}
