import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { TidemarkError } from '@tidemark/model';
import { z } from 'zod';
import { behaviour, changing, fault, wish } from './deed.js';
import type { Journal } from './journal.js';
import { toRecord } from './living-model.js';

/** What is asked over HTTP: a method, the path's parts, and the body. */
interface Call {
  readonly method: string;
  readonly path: readonly string[];
  readonly body: unknown;
}

/**
 * What tests may ask of the sources, JSON over HTTP:
 * `GET /` where the connector is served; `PUT /SOURCE/behaviour`; `PUT|GET|DELETE /SOURCE/faults`; `GET|DELETE /SOURCE/reads`;
 * `PUT /SOURCE/models/MODEL` its live records, `GET` the truth; `POST /SOURCE/models/MODEL/changes`;
 * `PUT|DELETE /SOURCE/models/MODEL/changing`.
 */
export class Control {
  constructor(
    private readonly journal: Journal,
    private readonly connectorAddress: () => string,
  ) {}

  /** The server; it does not listen yet. */
  server(): Server {
    return createServer((request, response) => {
      void this.answer(request, response);
    });
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const path = (request.url ?? '').split('/').slice(1).map(decodeURIComponent);
      const text = await readBody(request);
      const body: unknown = text === '' ? undefined : JSON.parse(text);
      const result = this.handle({ method: request.method ?? '', path, body });
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(result ?? {}));
    } catch (error) {
      // Whoever tests gets to read what was wrong.
      response.writeHead(400).end(error instanceof Error ? error.message : String(error));
    }
  }

  private handle(call: Call): unknown {
    const [source = '', part = '', model = '', what = ''] = call.path;
    if (source === '') return { connector: this.connectorAddress() };
    if (part === 'models') return this.ofModel(call, { source, model }, what);
    return this.ofSource(call, source, part);
  }

  private ofSource({ method, body }: Call, source: string, part: string): unknown {
    switch (`${method} ${part}`) {
      case 'PUT behaviour':
        return this.journal.do({ do: 'behave', source, behaviour: behaviour.parse(body) });
      case 'PUT faults':
        return this.journal.do({ do: 'fail', source, faults: z.array(fault).parse(body) });
      case 'DELETE faults':
        return this.journal.do({ do: 'fail', source, faults: [] });
      case 'GET faults':
        return this.journal.source(source).faults;
      case 'GET reads':
        return this.journal.source(source).reads;
      case 'DELETE reads':
        this.journal.source(source).reads = [];
        return undefined;
      default:
        throw unknownCall();
    }
  }

  private ofModel({ method, body }: Call, at: { source: string; model: string }, what: string): unknown {
    const living = this.journal.source(at.source);
    switch (`${method} ${what}`.trim()) {
      case 'GET': {
        const items = living.model(at.model);
        return items
          .ids()
          .flatMap((id) => items.get(id) ?? [])
          .map(toRecord);
      }
      case 'PUT':
        return this.change(at, this.replacement(at, z.array(wish).parse(body)));
      case 'POST changes':
        return this.change(at, z.array(wish).parse(body));
      case 'PUT changing':
        return this.journal.do({ do: 'keepChanging', ...at, changing: changing.parse(body) });
      case 'DELETE changing':
        return this.journal.do({ do: 'keepChanging', ...at });
      default:
        throw unknownCall();
    }
  }

  /** Live records that are not named are deleted. */
  private replacement(
    { source, model }: { source: string; model: string },
    wishes: z.output<typeof wish>[],
  ): z.output<typeof wish>[] {
    const kept = new Set(wishes.map(({ id }) => id));
    const others = this.journal
      .source(source)
      .model(model)
      .ids()
      .filter((id) => !kept.has(id));
    return [...wishes, ...others.map((id) => ({ id, deleted: true, agoMs: 0 }))];
  }

  private change(at: { source: string; model: string }, wishes: z.output<typeof wish>[]): void {
    const changes = this.journal.source(at.source).next(at.model, wishes);
    this.journal.do({ do: 'change', ...at, changes });
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function unknownCall(): TidemarkError {
  return new TidemarkError('REQUEST_INVALID', 'the control API knows no such call');
}
