export { connectMongo, type ConnectOptions } from './connect.js';
export { startEmbeddedMongo, type EmbeddedMongo, type EmbeddedMongoOptions } from './embedded.js';
export { isDatabaseFailure, isDuplicateKey, isTransient, toTidemarkError } from './errors.js';
export { findMongod, type FindMongodOptions, type FoundMongod, type MongodOrigin } from './find-mongod.js';
export { launchMongod, type LaunchedMongod, type MongodSettings } from './mongod-process.js';
export { initiateReplicaSet, REPLICA_SET } from './replica-set.js';
export { withTransaction, type TransactionOptions } from './transaction.js';
