import { writeFileSync } from 'node:fs';

/** Writes how many tests passed and failed to the file that TIDEMARK_TEST_REPORT names, for tools/setup/test.mjs. */
export default class CountReporter {
  onRunComplete(_contexts, { numPassedTests, numFailedTests, numRuntimeErrorTestSuites }) {
    const file = process.env['TIDEMARK_TEST_REPORT'];
    if (file === undefined) return;
    // A suite that did not run has no tests to count; it counts as one failure.
    const failed = numFailedTests + numRuntimeErrorTestSuites;
    writeFileSync(file, JSON.stringify({ passed: numPassedTests, failed }));
  }
}
