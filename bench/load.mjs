import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { CACHE, startChild } from './child.mjs'

const run = promisify(execFile)
const SOURCE = fileURLToPath(new URL('./load/', import.meta.url))
const PROGRAM = `${CACHE}load`

/** Builds the mock upstream and the load generator; a moment where Go has built them before. */
export async function buildLoad() {
  mkdirSync(CACHE, { recursive: true })
  try {
    await run('go', ['build', '-o', PROGRAM, '.'], { cwd: SOURCE })
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
    throw new Error('The bench needs Go (https://go.dev/dl): its mock upstream and load generator are built with it.')
  }
}

/** The mock upstream. Options: latencyMs, deltas, deltaEveryMs. */
export async function startMock(options = {}) {
  const { child, ended, stop } = startChild(PROGRAM, ['mock', ...flags(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const first = await Promise.race([once(child.stdout, 'data'), ended])
  if (!Array.isArray(first)) throw new Error(`the mock upstream did not start: ${first}`)
  return { url: String(first[0]).trim(), pid: child.pid, stop }
}

/**
 * One run of the load generator, and its report. Options are the flags of `load run` in camel case; `header` may be a
 * list.
 */
export async function runLoad(options) {
  const { child, ended } = startChild(PROGRAM, ['run', ...flags(options)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const report = await text(child.stdout)
  if ((await ended) !== 'code 0') throw new Error(`the load generator ended with ${await ended}`)
  return JSON.parse(report)
}

const flags = options =>
  Object.entries(options).flatMap(([name, value]) =>
    [value].flat().map(one => `--${name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}=${one}`),
  )
