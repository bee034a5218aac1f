// @ts-check

/** Ends the run with `N passed, N failed` (and `, N skipped`) alone on the last line. */
export default class CountingReporter {
  /**
   * A suite that failed to run counts as one failed test.
   * @param {unknown} _contexts
   * @param {{ numPassedTests: number, numFailedTests: number, numRuntimeErrorTestSuites: number,
   *   numPendingTests: number, numTodoTests: number }} results
   */
  onRunComplete(_contexts, results) {
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites
    const skipped = results.numPendingTests + results.numTodoTests
    const tail = skipped > 0 ? `, ${skipped} skipped` : ''
    // Jest's own summary and the global teardown come after this: the exit is what is last.
    process.once('exit', () => process.stdout.write(`\n${results.numPassedTests} passed, ${failed} failed${tail}\n`))
  }
}
