import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { isMainThread } from 'node:worker_threads'

/**
 * Loaded into an API process: tells how long its event loop was held. Linux tells the time that the main thread had a
 * processor, which does not grow with what else the machine does; elsewhere it is the time that passed.
 */
const TICK_MS = 5
const QUOTED_WORDS = 'some words "quoted"\n'.repeat(100_000)

function processorMs() {
  try {
    return Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ', 1)[0]) / 1e6
  } catch {
    return performance.now()
  }
}

let lastMs = processorMs()
let longestMs = 0

function look() {
  const nowMs = processorMs()
  longestMs = Math.max(longestMs, nowMs - lastMs)
  lastMs = nowMs
}

/** A known piece of work, which tells how fast this processor is now. */
function workMs() {
  const startedMs = processorMs()
  JSON.stringify(QUOTED_WORDS)
  return processorMs() - startedMs
}

/** Gives the longest time since the last answer. */
function answer(request, response) {
  look()
  const told = { longestMs, workMs: request.url === '/work' ? Math.min(workMs(), workMs(), workMs()) : 0 }
  longestMs = 0
  lastMs = processorMs()
  // A connection that is kept may be closed just when it is used again.
  response.writeHead(200, { connection: 'close' }).end(JSON.stringify(told))
}

if (isMainThread && process.env['LOOP_PROBE_PORT'] !== undefined) {
  setInterval(look, TICK_MS).unref()
  createServer(answer).listen(Number(process.env['LOOP_PROBE_PORT']), '127.0.0.1').unref()
}
