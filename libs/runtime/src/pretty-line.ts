const OWN_FIELDS = new Set(['level', 'time', 'service', 'msg']);

/** Turns one JSON log line into `12:00:00.000 INFO  store: message key=value`. */
export function prettyLine(json: string): string {
  const line = JSON.parse(json) as Record<string, unknown>;
  const time = String(line['time']).slice(11, 23);
  const level = String(line['level']).toUpperCase().padEnd(5);
  const fields = Object.entries(line)
    .filter(([name]) => !OWN_FIELDS.has(name))
    .map(([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return `${time} ${level} ${String(line['service'])}: ${String(line['msg'])}${fields.join('')}\n`;
}
