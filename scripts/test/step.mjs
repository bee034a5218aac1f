// @ts-check
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runJest } from './jest.mjs'
import { slowness } from './machine.mjs'
import { LONGEST_FILE, STEPS } from './steps.mjs'

/** @typedef {import('../../test/support/jest/progress-reporter.js').Report} Report */

/**
 * Runs the files of a step. A file that takes too long is run again by itself, and fails where it does so again: what a
 * busy moment of the machine made of it fails nothing.
 * @param {string} name
 * @returns {Promise<Report>}
 */
export async function runStep(name) {
  const workers = STEPS[name]?.workers ?? 1
  console.log(`\n── ${name}, ${workers} at once`)
  const report = await reportOf(['--selectProjects', name, `--maxWorkers=${workers}`])
  if (!LONGEST_FILE.steps.includes(name) || report.failed > 0) return report
  const failed = await stillTooLong(report)
  return { ...report, failed }
}

/**
 * @param {Report} report
 * @returns {Promise<number>} how many files are too long
 */
async function stillTooLong({ files }) {
  let count = 0
  for (const { path } of files.filter(isTooLong)) {
    const { files: again } = await reportOf([path])
    const isSo = again.some(isTooLong)
    count += isSo ? 1 : 0
    console.log(
      `${path} takes longer than ${LONGEST_FILE.seconds} s${isSo ? '.' : ' where the machine is busy, else not.'}`,
    )
  }
  return count
}

/** @param {Report['files'][0]} file */
const isTooLong = ({ seconds }) => seconds > LONGEST_FILE.seconds * Math.max(1, slowness())

/**
 * A run that left no report, or failed in another way than by its tests, counts as one failed test.
 * @param {string[]} args
 * @returns {Promise<Report>}
 */
async function reportOf(args) {
  const folder = mkdtempSync(join(tmpdir(), 'ipop-report-'))
  const file = join(folder, 'report.json')
  try {
    const code = await runJest(args, { IPOP_TEST_REPORT: file })
    const report = readReport(file)
    return code === 0 || report.failed > 0 ? report : { ...report, failed: 1 }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * @param {string} file
 * @returns {Report}
 */
function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return { passed: 0, failed: 0, skipped: 0, files: [] }
  }
}
