import { isTidemarkError } from '@tidemark/model';
import { describeError } from '@tidemark/runtime';
import { CommanderError } from 'commander';
import { errorJson, errorText } from './error-text.js';
import { ExitCode, exitCodeOf } from './exit-code.js';
import { writeJson } from './json.js';
import { Output, ReaderGoneError } from './output.js';
import { createProgram } from './program.js';

const VERSION = '0.1.0';

const interrupted = new AbortController();
const interrupt = () => interrupted.abort();
const out = new Output(process.stdout, interrupt);
const notes = new Output(process.stderr, interrupt);
// Once is enough: the same Ctrl-C may arrive from the terminal and from npm.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, interrupt);
}

const surroundings = { env: process.env, cwd: process.cwd(), out, notes, signal: interrupted.signal };
const { program, cli } = createProgram(surroundings, VERSION);
const args = process.argv.slice(2);

let exitCode: number;
try {
  await program.parseAsync(args[0] === '--version' ? ['-V', ...args.slice(1)] : args, { from: 'user' });
  exitCode = cli.exitCode;
} catch (error) {
  exitCode = await report(error);
} finally {
  cli.close();
}
await Promise.all([out.flush(), notes.flush()]);
process.exit(exitCode);

/** Says what went wrong, without a stack, and gives back the exit code. */
async function report(error: unknown): Promise<ExitCode> {
  if (error instanceof ReaderGoneError) {
    return ExitCode.DONE;
  }
  if (error instanceof CommanderError) {
    // It has printed its message, or the help that was asked for.
    return error.exitCode === 0 ? ExitCode.DONE : ExitCode.USAGE;
  }
  if (isTidemarkError(error, 'CANCELLED') && interrupted.signal.aborted) {
    return ExitCode.INTERRUPTED;
  }
  if (isTidemarkError(error)) {
    await say(cli.json ? [writeJson(errorJson(error))] : errorText(error, cli.address));
    return exitCodeOf(error.reason);
  }
  const { type, code, message, stack } = describeError(error);
  await say([`Unexpected ${type}${code === undefined ? '' : ` ${code}`}: ${message}`]);
  if (process.env['TIDEMARK_LOG_LEVEL'] === 'debug' && stack !== undefined) {
    await say(stack.split('\n'));
  }
  return ExitCode.FAILED;
}

async function say(lines: readonly string[]): Promise<void> {
  try {
    await notes.lines(lines);
  } catch {
    // Nobody reads stderr; the exit code has to tell.
  }
}
