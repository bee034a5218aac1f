// @ts-check
import { createHash } from 'node:crypto'

/** What the work below takes on a quiet machine like CI's: two cores of a virtual machine. */
const QUIET_MS = 60
const WORK_BYTES = 16 * 1024 * 1024
const TRIES = 5

/** How much slower than a quiet one this machine is now: 1 there, 3 where everything takes three times as long. */
export function slowness() {
  const tried = Array.from({ length: TRIES }, workMs).toSorted((a, b) => a - b)
  return (tried[Math.floor(TRIES / 2)] ?? QUIET_MS) / QUIET_MS
}

function workMs() {
  const beganAtMs = performance.now()
  createHash('sha256').update(Buffer.alloc(WORK_BYTES, 'work')).digest()
  return performance.now() - beganAtMs
}
