import { ConnectorServiceDefinition, type ReadRequest, type ReadResponse } from '@tidemark/contracts';
import { ConnectorHandlers } from '@tidemark/connector-kit';
import { bind, fastDefinition, type CallContext, type ServiceBinding } from '@tidemark/rpc';
import { WireFault } from './faults.js';
import type { Journal } from './journal.js';
import { LivingConnector } from './living-connector.js';

/** The connector's service: its pages are the source's own, and it breaks the contract where the source is told to. */
export function livingService(journal: Journal): ServiceBinding {
  const pageSize = (source: string): number => journal.source(source).behaviour.pageSize;
  return bind(
    fastDefinition(ConnectorServiceDefinition),
    new FaultyHandlers(new LivingConnector(journal), pageSize),
  );
}

class FaultyHandlers extends ConnectorHandlers<{ source: string }, { token?: string | undefined }> {
  constructor(
    connector: LivingConnector,
    private readonly pageSize: (source: string) => number,
  ) {
    super(connector);
  }

  override async *read(
    request: ReadRequest,
    context: Pick<CallContext, 'signal'>,
  ): AsyncGenerator<ReadResponse> {
    const config = JSON.parse(Buffer.from(request.settings?.config ?? []).toString()) as { source: string };
    const pageRecords = Math.min(request.pageRecords, this.pageSize(config.source));
    try {
      yield* super.read({ ...request, pageRecords }, context);
    } catch (error) {
      if (!(error instanceof WireFault)) throw error;
      const page = error.page();
      if (page !== undefined) yield { message: { $case: 'page', value: page } };
    }
  }
}
