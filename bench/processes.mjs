import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

const isLinux = process.platform === 'linux'
const ticksPerSecond = isLinux ? Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' })) : undefined

/**
 * What a process and everything that it started has used: CPU seconds (user and system, of ended children too), and
 * memory in bytes (resident now; at its peak, where the system tells it). Pages that processes share count in each.
 */
export function usageOf(pid) {
  const processes = isLinux ? processesOnLinux() : processesFromPs()
  const usage = { cpuSeconds: 0, rssBytes: 0, peakRssBytes: 0 }
  for (const one of treeOf(pid, processes)) {
    usage.cpuSeconds += one.cpuSeconds
    const { rssBytes, peakRssBytes } = isLinux ? memoryOnLinux(one.pid) : one
    usage.rssBytes += rssBytes
    usage.peakRssBytes += peakRssBytes
  }
  return usage
}

function treeOf(pid, processes) {
  const own = processes.filter(one => one.pid === pid)
  const children = processes.filter(one => one.parent === pid)
  return [...own, ...children.flatMap(child => treeOf(child.pid, processes))]
}

function processesOnLinux() {
  return readdirSync('/proc')
    .map(Number)
    .filter(pid => pid > 0)
    .flatMap(pid => statOf(pid) ?? [])
}

/** proc(5): of the fields that follow the command's closing parenthesis, the 2nd is the parent, the 12th to 15th are times. */
function statOf(pid) {
  const stat = textOf(`/proc/${pid}/stat`)
  if (stat === undefined) return undefined
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
  return { pid, parent: Number(fields[1]), cpuSeconds: ticks / ticksPerSecond }
}

function memoryOnLinux(pid) {
  const status = textOf(`/proc/${pid}/status`) ?? ''
  const bytes = field => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024
  return { rssBytes: bytes('VmRSS'), peakRssBytes: bytes('VmHWM') }
}

/** Undefined where the process has just ended. */
function textOf(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function processesFromPs() {
  const lines = execFileSync('ps', ['-axo', 'pid=,ppid=,rss=,time='], { encoding: 'utf8' }).trim().split('\n')
  return lines.map(line => {
    const [pid, parent, rssKb, time] = line.trim().split(/\s+/)
    const cpuSeconds = time.split(':').reduce((sum, part) => sum * 60 + Number(part), 0)
    const rssBytes = Number(rssKb) * 1024
    return { pid: Number(pid), parent: Number(parent), cpuSeconds, rssBytes, peakRssBytes: rssBytes }
  })
}
