import type { Isolation } from './isolation.ts'

/** What a child may use at most. It is stopped where it takes more, or is refused it, as the system can. */
export interface ChildLimits {
  /** From its start to its end. */
  seconds: number
  /** Of the processor, of all its processes together. */
  cpuSeconds: number
  /** Of all its processes together, as they are counted every quarter of a second; a single one is refused more at once. */
  memoryBytes: number
  /** At once; the shell that starts it and its watchman are not counted. */
  processes: number
  openFiles: number
  /** Of one file that it writes. */
  fileBytes: number
  /** Of its standard output. */
  outputBytes: number
}

/** Below its hard limit a process that has used its time is told by a signal that tells why it ended. */
const CPU_GRACE_SECONDS = 2

/**
 * Run by the system's shell with the limits as $1 to $5 and the command after them, which nothing reads as shell text.
 * The watchman ends the whole group when the pipe at 3 closes: when the process that started all this is gone, however
 * it ended. A limit that is not the system's, or above what it allows, stays what it is. `-d` counts what is written to,
 * so that programs may reserve addresses as they like. The shell waits: as the first process of its own world a program
 * would not be ended by its own signals.
 */
const SCRIPT = `
( read -r _ <&3; kill -KILL 0 ) </dev/null >/dev/null 2>&1 &
{
  ulimit -c 0
  ulimit -S -t "$1"; ulimit -H -t "$2"
  ulimit -d "$3"
  ulimit -n "$4"
  ulimit -f "$5"
  if [ "$6" -gt 0 ]; then ulimit -u "$6" || ulimit -p "$6"; fi
} 2>/dev/null
shift 6
"$@" 3<&-
exit $?
`

/** The whole command that runs a program under its limits. */
export function limitedCommand(isolation: Isolation, limits: ChildLimits, program: string, args: readonly string[]) {
  const cpuSeconds = Math.ceil(limits.cpuSeconds)
  const figures = [
    cpuSeconds,
    cpuSeconds + CPU_GRACE_SECONDS,
    Math.ceil(limits.memoryBytes / 1024),
    limits.openFiles,
    Math.ceil(limits.fileBytes / 512),
    // Elsewhere the system counts every process of the user.
    isolation.hasOwnProcesses ? limits.processes + OWN_PROCESSES : 0,
  ]
  return [...isolation.prefix, '/bin/sh', '-c', SCRIPT, 'sh', ...figures.map(String), program, ...args]
}

/** The shell, its watchman, and what an isolation runs itself. */
export const OWN_PROCESSES = 4
