import type { Register } from '../cli.js';
import { connectorJson } from '../connection-json.js';
import { printableJson } from '../printable.js';
import { formatFields, formatTable } from '../table.js';

/** `tidemark connectors …` */
export const connectors: Register = (program, cli) => {
  const noun = program.command('connectors').description('the kinds of source that can be mirrored');

  noun
    .command('list')
    .description('list the connectors')
    .action(async () => {
      const { connections } = await cli.connect();
      const response = await connections.listConnectors({}, { signal: cli.signal });
      await cli.print({ connectors: response.connectors.map((connector) => ({ ...connector })) }, () =>
        formatTable(
          [
            { title: 'CONNECTOR', value: (row) => row.name },
            { title: 'VERSION', value: (row) => row.version },
            { title: 'REACHABLE', value: (row) => (row.reachable ? 'yes' : 'no') },
            { title: 'DESCRIPTION', value: (row) => row.description, max: 100 },
          ],
          response.connectors,
        ),
      );
    });

  noun
    .command('describe')
    .argument('<name>', 'the connector')
    .description('tell what a connector reads and which settings it takes')
    .action(async (connector: string) => {
      const { connections } = await cli.connect();
      const found = await connections.describeConnector({ connector }, { signal: cli.signal });
      await cli.print(connectorJson(found), () => [
        ...formatFields([
          ['Connector', found.name],
          ['Version', found.version],
          ['Reads', found.description],
        ]),
        'Config (JSON Schema):',
        ...schemaLines(found.configSchema),
        'Credentials (JSON Schema):',
        ...schemaLines(found.credentialsSchema),
      ]);
    });
};

function schemaLines(schema: Uint8Array): string[] {
  if (schema.length === 0) {
    return ['  none'];
  }
  const parsed: unknown = JSON.parse(Buffer.from(schema).toString('utf8'));
  return JSON.stringify(parsed, null, 2)
    .split('\n')
    .map((line) => `  ${printableJson(line)}`);
}
