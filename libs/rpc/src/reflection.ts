import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { ServerAddBuilder } from 'nice-grpc';
import { ServerReflection, ServerReflectionService } from 'nice-grpc-server-reflection';

/** Lets tools such as grpcurl list and call the given services (full names). */
export async function addReflection(
  server: ServerAddBuilder<object>,
  services: readonly string[],
): Promise<void> {
  const descriptor = createRequire(import.meta.url).resolve('@tidemark/contracts/descriptor.binpb');
  server.add(ServerReflectionService, ServerReflection(await readFile(descriptor), services));
}
