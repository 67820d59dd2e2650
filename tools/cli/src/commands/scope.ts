import type { Register } from '../cli.js';
import { scopeJson } from '../connection-json.js';
import { formatTable } from '../table.js';

/** `tidemark scope …` */
export const scope: Register = (program, cli) => {
  program
    .command('scope')
    .description('what may be stored of a connection')
    .command('get')
    .argument('<connection>', 'the connection')
    .description('show the models and fields in scope')
    .action(async (connectionId: string) => {
      const { connections } = await cli.connect();
      const { connection } = await connections.getConnection({ connectionId }, { signal: cli.signal });
      const found = connection?.scope ?? { models: [], revision: 0n };
      const rows = found.models.flatMap(({ model, fields }) =>
        fields.length === 0
          ? [{ model, field: '(primary key only)' }]
          : fields.map((field) => ({ model, field })),
      );
      await cli.print(scopeJson(found), () =>
        formatTable(
          [
            { title: 'MODEL', value: (row) => row.model },
            { title: 'FIELD', value: (row) => row.field, max: 100 },
          ],
          rows,
        ),
      );
    });
};
