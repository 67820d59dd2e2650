import type { CompatServiceDefinition, ServerAddBuilder, ServiceImplementation } from 'nice-grpc';

/** A service and what implements it, ready for `startServer`. */
export interface ServiceBinding {
  /** Example: `tidemark.v1.StoreService`. */
  readonly fullName: string;
  /** Adds the service to a server. */
  addTo(server: ServerAddBuilder<object>): void;
}

/** Binds an implementation to its generated (or fast, or raw) definition. Handlers may be methods of a class. */
export function bind<Definition extends CompatServiceDefinition>(
  definition: Definition,
  implementation: ServiceImplementation<Definition>,
): ServiceBinding {
  return { fullName: fullNameOf(definition), addTo: (server) => server.add(definition, implementation) };
}

function fullNameOf(definition: CompatServiceDefinition): string {
  if ('fullName' in definition && typeof definition.fullName === 'string') {
    return definition.fullName;
  }
  const [method] = Object.values(definition) as { path: string }[];
  return method?.path.split('/')[1] ?? '';
}
