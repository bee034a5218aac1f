// @ts-check
import { writeFileSync } from 'node:fs'
import { relative } from 'node:path'

/** How many of the longest files are shown. */
const LONGEST = 10

/**
 * What a run tells of itself to who runs it as a step of several (scripts/test/step.mjs).
 * @typedef {{ path: string, seconds: number }} FileTime
 * @typedef {{ passed: number, failed: number, skipped: number, files: FileTime[] }} Report
 */

/**
 * Says how far the run is after every file, and the longest files at its end. Its report goes to the file that
 * IPOP_TEST_REPORT names; without one, the run ends with `N passed, N failed` (and `, N skipped`) alone on the last line.
 */
export default class ProgressReporter {
  /** @type {FileTime[]} */
  files = []

  /**
   * @param {{ path: string }} test
   * @param {{ perfStats: { start: number, end: number } }} result
   * @param {{ numTotalTestSuites: number, numFailedTests: number, numRuntimeErrorTestSuites: number }} soFar
   */
  onTestResult({ path }, { perfStats: { start, end } }, soFar) {
    const { numTotalTestSuites: all, numFailedTests, numRuntimeErrorTestSuites } = soFar
    const failed = numFailedTests + numRuntimeErrorTestSuites
    this.files.push({ path: relative(process.cwd(), path), seconds: (end - start) / 1000 })
    const failures = failed > 0 ? `, ${failed} failed` : ''
    process.stderr.write(`${this.files.length} of ${all} files done${failures}\n`)
  }

  /**
   * A suite that failed to run counts as one failed test.
   * @param {unknown} _contexts
   * @param {{ numPassedTests: number, numFailedTests: number, numRuntimeErrorTestSuites: number,
   *   numPendingTests: number, numTodoTests: number }} results
   */
  onRunComplete(_contexts, results) {
    /** @type {Report} */
    const report = {
      passed: results.numPassedTests,
      failed: results.numFailedTests + results.numRuntimeErrorTestSuites,
      skipped: results.numPendingTests + results.numTodoTests,
      files: this.files,
    }
    process.stderr.write(longest(this.files))
    const file = process.env['IPOP_TEST_REPORT']
    if (file !== undefined) return writeFileSync(file, JSON.stringify(report))
    // Jest's own summary and the global teardown come after this: the exit is what is last.
    process.once('exit', () => process.stdout.write(`\n${counted(report)}\n`))
  }
}

/** @param {FileTime[]} files */
function longest(files) {
  const shown = files.toSorted((a, b) => b.seconds - a.seconds).slice(0, LONGEST)
  return `\nThe longest files:\n${shown.map(({ path, seconds }) => `${seconds.toFixed(1).padStart(7)} s  ${path}\n`).join('')}`
}

/** @param {Omit<Report, 'files'>} counts */
export const counted = ({ passed, failed, skipped }) =>
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
