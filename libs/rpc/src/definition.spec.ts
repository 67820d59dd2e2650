import { describe, expect, it } from '@jest/globals';
import { RecordServiceDefinition, StreamRecordsRequest, StreamRecordsResponse } from '@tidemark/contracts';
import { createClient } from './client.js';
import { fastDefinition, passThrough } from './definition.js';
import { startRecordServer } from './testing/record-server.js';

const RESPONSE: StreamRecordsResponse = {
  records: [],
  cursor: 'c-1',
  completeThrough: new Date(1_700_000_000_000),
};

describe('definitions', () => {
  it('speak the same wire format, fast and raw', async () => {
    const asked: StreamRecordsRequest[] = [];
    const records = await startRecordServer({
      async *streamRecords(request) {
        asked.push(request);
        yield RESPONSE;
      },
    });
    const { address } = records.server;
    const request = StreamRecordsRequest.fromPartial({ connectionId: 'acme', limit: 9_007_199_254_740_993n });
    const fast = createClient(fastDefinition(RecordServiceDefinition), address, { credential: undefined });
    const raw = createClient(passThrough(RecordServiceDefinition), address, { credential: undefined });
    for await (const page of fast.streamRecords(request)) {
      expect(page).toEqual(RESPONSE);
    }
    for await (const bytes of raw.streamRecords(StreamRecordsRequest.encode(request).finish())) {
      expect(Buffer.from(bytes)).toEqual(Buffer.from(StreamRecordsResponse.encode(RESPONSE).finish()));
    }
    expect(asked).toEqual([request, request]);
    fast.close();
    raw.close();
    await records.close();
  });
});
