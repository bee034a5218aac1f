import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'

const SAMPLE_EVERY_MS = 50
const run = promisify(execFile)

/** By how many bytes the process's peak resident memory rises while the work is done. */
export async function peakRise(pid: number, work: () => Promise<unknown>): Promise<number> {
  if (process.platform === 'linux') {
    const before = await linuxPeak(pid)
    await work()
    return (await linuxPeak(pid)) - before
  }
  return sampledRise(pid, work)
}

/** The kernel's own high-water mark: nothing between two looks is missed. */
async function linuxPeak(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024
}

async function sampledRise(pid: number, work: () => Promise<unknown>): Promise<number> {
  const resident = async () => Number((await run('ps', ['-o', 'rss=', '-p', String(pid)])).stdout) * 1024
  const before = await resident()
  let peak = before
  let busy = true
  const sampling = (async () => {
    for (; busy; await delay(SAMPLE_EVERY_MS)) peak = Math.max(peak, await resident())
  })()
  await work()
  busy = false
  await sampling
  return peak - before
}
