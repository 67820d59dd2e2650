import { writeFile } from 'node:fs/promises';
import { jsonSchemaOf } from '@tidemark/connector-kit';
import { fileSettings } from './settings.js';

// `npm run schema`: writes the JSON Schema of a connection's config, for editors and readers.
const schema = JSON.stringify(jsonSchemaOf(fileSettings), null, 2);
await writeFile(new URL('../config.schema.json', import.meta.url), `${schema}\n`);
