export { FileConnector } from './file-connector.js';
export { Roots } from './roots.js';
