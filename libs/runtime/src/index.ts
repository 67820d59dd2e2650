export { createBreaker, type Breaker, type BreakerOptions, type BreakerState } from './breaker.js';
export { Breakers } from './breakers.js';
export { configure } from './configure.js';
export { delay } from './delay.js';
export {
  address,
  readEnvironment,
  serviceSettings,
  serviceVariables,
  type DeepReadonly,
  type Environment,
  type ServiceSettings,
} from './environment.js';
export { describeError, type ErrorDescription } from './error-description.js';
export { runService, type Part, type RunningService, type ServiceOptions } from './lifecycle.js';
export { createLogger, type Logger, type LoggerOptions, type LogLevel } from './logger.js';
export {
  masterKey,
  masterKeySettings,
  masterKeyVariables,
  previousMasterKeys,
  type MasterKeySettings,
} from './master-keys.js';
export { Resealing, type ResealResult } from './resealing.js';
export type { SealedSecret, SealedSecrets } from './sealed-secrets.js';
