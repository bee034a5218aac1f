// @ts-check
// Runs the tests, step by step, each with its own number of workers. `npm test -- chaos` runs that step, and
// `npm test -- test/areas/inference/chat.test.ts -t stream` gives what it is given to Jest, in one run.
// Ends with `N passed, N failed` (and `, N skipped`) of all steps alone on the last line.
import { fileURLToPath } from 'node:url'
import { counted } from '../test/support/jest/progress-reporter.js'
import { runJest } from './test/jest.mjs'
import { runStep } from './test/step.mjs'
import { STEPS, USUAL } from './test/steps.mjs'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))
const given = process.argv.slice(2)

if (given.every(word => Object.hasOwn(STEPS, word))) await runSteps(given.length > 0 ? given : USUAL)
else process.exitCode = await runJest(['--maxWorkers=2', ...given])

/** @param {readonly string[]} names */
async function runSteps(names) {
  const total = { passed: 0, failed: 0, skipped: 0 }
  const beganAtMs = performance.now()
  for (const name of names) {
    const { passed, failed, skipped } = await runStep(name)
    total.passed += passed
    total.failed += failed
    total.skipped += skipped
  }
  console.log(`\n${names.join(', ')}: ${Math.round((performance.now() - beganAtMs) / 1000)} s`)
  console.log(`\n${counted(total)}`)
  process.exitCode = total.failed > 0 ? 1 : 0
}
