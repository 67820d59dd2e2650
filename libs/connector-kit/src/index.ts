export type {
  ChangesTask,
  Connector,
  DiscoveredModel,
  Reading,
  RequestMeter,
  ReadingEnd,
  ReadTask,
  Source,
  SourceDelay,
  SourceEntry,
} from './connector.js';
export { ConnectorHandlers, serveConnector } from './connector-service.js';
export { SchemaInference } from './schema-inference.js';
export { jsonSchemaOf } from './settings.js';
export { systemCode } from './source-error.js';
