/** One run for all kinds of tests: `*.spec.ts` pure, `*.mongo.spec.ts` on a real database, `*.e2e.spec.ts` on built services. */
export default {
  roots: ['libs', 'apps', 'tools', 'examples'].map((folder) => `<rootDir>/${folder}`),
  testMatch: ['**/*.spec.ts'],
  testPathIgnorePatterns: ['/node_modules/', '<rootDir>/[^/]+/[^/]+/dist/'],
  modulePathIgnorePatterns: ['<rootDir>/[^/]+/[^/]+/dist/'],
  testEnvironment: 'node',
  // Workspaces resolve to their sources, so that no test runs against a stale build.
  testEnvironmentOptions: { customExportConditions: ['@tidemark/source', 'node', 'node-addons'] },
  extensionsToTreatAsEsm: ['.ts'],
  // Scripts first: some packages keep a .ts beside each .js.
  moduleFileExtensions: ['js', 'mjs', 'cjs', 'ts', 'json', 'node'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'es6' } },
    ],
  },
  globalSetup: '<rootDir>/jest/global-setup.mjs',
  globalTeardown: '<rootDir>/jest/global-teardown.mjs',
  reporters: ['default', '<rootDir>/jest/count-reporter.mjs'],
  maxWorkers: 2,
  testTimeout: 60_000,
  watchman: false,
};
