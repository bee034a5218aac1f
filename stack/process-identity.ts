import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** A process that cannot be mistaken for a later one with the same pid. */
export interface ProcessIdentity {
  pid: number
  /** As the system tells it; compared, never read. */
  startedAt: string
}

/** The identity of a running process; undefined where there is none of that pid. */
export function identify(pid: number): ProcessIdentity | undefined {
  const startedAt = process.platform === 'linux' ? startOnLinux(pid) : startFromPs(pid)
  return startedAt === undefined ? undefined : { pid, startedAt }
}

export const isAlive = ({ pid, startedAt }: ProcessIdentity): boolean => identify(pid)?.startedAt === startedAt

const STATE = 0
const START_TIME = 19

/**
 * Field 22 of /proc/<pid>/stat (proc(5)), the ticks since the machine's start, and which start that was: pids and
 * ticks come again after a reboot. The fields follow the command's closing parenthesis. Zombies are gone.
 */
function startOnLinux(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return fields[STATE] === 'Z' ? undefined : `${boot} ${fields[START_TIME]}`
  } catch {
    return undefined
  }
}

function startFromPs(pid: number): string | undefined {
  try {
    const text = execFileSync('ps', ['-o', 'lstart=,stat=', '-p', String(pid)], { encoding: 'utf8' }).trim()
    return text === '' || text.endsWith('Z') ? undefined : text.replace(/\s+\S+$/, '')
  } catch {
    return undefined
  }
}

/** The command line of a process, empty where it cannot be told. */
export function commandOf(pid: number): string {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' })
  } catch {
    return ''
  }
}

/** The processes whose command line holds all of these words. */
export function findByCommand(words: readonly string[]): ProcessIdentity[] {
  return allPids()
    .filter(pid => pid !== process.pid && words.every(word => commandOf(pid).includes(word)))
    .flatMap(pid => identify(pid) ?? [])
}

function allPids(): number[] {
  const names =
    process.platform === 'linux'
      ? readdirSync('/proc')
      : execFileSync('ps', ['-axo', 'pid='], { encoding: 'utf8' }).split('\n')
  return names.map(Number).filter(pid => pid > 0)
}

const LOOK_EVERY_MS = 50
/** A process that the system cannot end, waiting for a disk perhaps, is not waited for any longer. */
const KILLED_WITHIN_MS = 2_000

/**
 * Stops a process that may not be our child: the signal, then SIGKILL for its whole group when the time is up. Never
 * another process.
 */
export async function stopProcess(target: ProcessIdentity, signal: NodeJS.Signals, graceMs: number): Promise<void> {
  if (!isAlive(target)) return
  sendSignal(target.pid, signal)
  if (await endOf(target, graceMs)) return
  for (const pid of [-target.pid, target.pid]) sendSignal(pid, 'SIGKILL')
  await endOf(target, KILLED_WITHIN_MS)
}

/** Resolves when the process has ended, or the time is up; tells whether it has ended. */
export async function endOf(target: ProcessIdentity, withinMs: number): Promise<boolean> {
  const untilMs = Date.now() + withinMs
  while (isAlive(target)) {
    if (Date.now() >= untilMs) return false
    await delay(LOOK_EVERY_MS)
  }
  return true
}

/** It may have ended since it was looked at, or lead no group. */
function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // Of a group that holds nothing but zombies macOS says EPERM.
    if (code !== 'ESRCH' && !(code === 'EPERM' && pid < 0)) throw error
  }
}
