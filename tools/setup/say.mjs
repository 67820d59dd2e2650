/** Prints a line for people; to stderr, so that stdout stays the command's own. */
export function say(line) {
  process.stderr.write(`${line}\n`);
}
