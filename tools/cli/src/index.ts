export { loadSecrets } from './up/secrets.js';
export { ServiceProcess } from './up/service-process.js';
export { serviceSpec } from './up/services.js';
export { Stack, type StackOptions, type StackProcess } from './up/stack.js';
