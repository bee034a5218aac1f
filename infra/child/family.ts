import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { promisify } from 'node:util'

/** A running process as the system tells of it. */
export interface SystemProcess {
  pid: number
  parent: number
  group: number
  /** With the pid it names a process for good. Compared, never read. */
  startedAt: string
  memoryBytes: number
  /** Its own, and that of its children that have ended. */
  cpuSeconds: number
}

/** All processes of the machine that have not ended. */
export const allProcesses = (): Promise<SystemProcess[]> =>
  process.platform === 'linux' ? Promise.resolve(fromProc()) : fromPs()

/** The group of the root, its descendants, and those that were either when they were last looked at (`known`). */
export function familyOf(
  processes: readonly SystemProcess[],
  root: number,
  known: ReadonlyMap<number, string>,
): SystemProcess[] {
  const members = new Set<number>()
  const isMember = ({ pid, parent, group, startedAt }: SystemProcess) =>
    pid === root || group === root || members.has(parent) || known.get(pid) === startedAt
  // Children may come before their parents in the list.
  for (let before = -1; before < members.size;) {
    before = members.size
    for (const one of processes) if (isMember(one)) members.add(one.pid)
  }
  return processes.filter(({ pid }) => members.has(pid))
}

/** Linux counts time in hundredths of a second for programs, and memory in pages, whose size is the machine's (proc(5)). */
const TICKS_A_SECOND = 100
let pageSize: number | undefined
const pageBytes = (): number => (pageSize ??= readPageBytes())

function readPageBytes(): number {
  const match = /^KernelPageSize: +(\d+) kB$/m.exec(readFileSync('/proc/self/smaps', 'latin1'))
  return Number(match?.[1] ?? 4) * 1024
}

function fromProc(): SystemProcess[] {
  return readdirSync('/proc').flatMap(name => {
    const pid = Number(name)
    return Number.isInteger(pid) ? (readStat(pid) ?? []) : []
  })
}

const ZOMBIE = 'Z'

/** Fields follow the command's closing parenthesis, beginning with the third (proc(5)). */
function readStat(pid: number): SystemProcess | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const field = (number: number) => Number(fields[number - 3])
    if (fields[0] === ZOMBIE) return undefined
    return {
      pid,
      parent: field(4),
      group: field(5),
      startedAt: fields[22 - 3] ?? '',
      memoryBytes: field(24) * pageBytes(),
      cpuSeconds: (field(14) + field(15) + field(16) + field(17)) / TICKS_A_SECOND,
    }
  } catch {
    return undefined
  }
}

/** Whether the process began with that environment. False where the system does not tell. */
export function carriesMark({ pid }: SystemProcess, mark: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(mark)
  } catch {
    return false
  }
}

/** How many processes and threads the machine has, which is cheap to ask (proc(5)); 0 where it does not tell. */
export function tasksOfMachine(): number {
  try {
    return Number(/\/(\d+) /.exec(readFileSync('/proc/loadavg', 'latin1'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

const PS_FORMAT = 'pid=,ppid=,pgid=,stat=,rss=,time=,lstart='
const PS_LINE = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+([^Z\s]\S*)\s+(\d+)\s+(\S+)\s+(.+)$/

async function fromPs(): Promise<SystemProcess[]> {
  const { stdout } = await promisify(execFile)('/bin/ps', ['-axo', PS_FORMAT], { maxBuffer: 16 * 1024 * 1024 })
  return parsePs(stdout)
}

/** The lines of ps; memory in KiB, time as `[[days-]hours:]minutes:seconds[.hundredths]`. */
export function parsePs(text: string): SystemProcess[] {
  return text.split('\n').flatMap(line => {
    const [, pid, parent, group, , kib, time = '', startedAt = ''] = PS_LINE.exec(line) ?? []
    if (pid === undefined) return []
    return {
      pid: Number(pid),
      parent: Number(parent),
      group: Number(group),
      startedAt,
      memoryBytes: Number(kib) * 1024,
      cpuSeconds: secondsOf(time),
    }
  })
}

function secondsOf(time: string): number {
  const [clock = '', days = '0'] = time.split('-').reverse()
  return clock.split(':').reduce((sum, part) => sum * 60 + Number(part), 0) + Number(days) * 86_400
}
