import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { ProcessSpec } from './managed-process.ts'
import type { ProcessIdentity } from './process-identity.ts'

/** A process that must not outlive its supervisor, however that ends. */
export interface GuardedProcess {
  identity: ProcessIdentity
  /** What ends it in order; undefined where it ends by itself when its supervisor is gone. */
  stopSignal: NodeJS.Signals | undefined
  stopGraceMs: number
}

/** A process that a spec starts; nothing where that is not known. */
export function guarded(spec: ProcessSpec | undefined, identity: ProcessIdentity): GuardedProcess[] {
  if (spec === undefined) return []
  // What tells its supervisor by message that it is up also sees it go.
  const stopSignal = spec.isReady === 'message' ? undefined : spec.stopSignal
  return [{ identity, stopSignal, stopGraceMs: spec.stopGraceMs }]
}

export interface Guard {
  /** The processes that are there now. */
  watch(processes: readonly GuardedProcess[]): void
  /** Nothing is to be stopped any more. */
  close(): void
}

const PROGRAM = fileURLToPath(new URL('./guard-program.js', import.meta.url))
const START_AGAIN_MS = 250

/**
 * Stops processes when this one is gone, also by SIGKILL, which leaves it no time: a small process of a session of its
 * own holds the other end of a pipe, whose end is told whatever became of us, on Linux and macOS alike.
 */
export function startGuard(): Guard {
  let latest: readonly GuardedProcess[] = []
  let isClosed = false
  let child: ChildProcess
  const send = () => child.stdin?.write(`${JSON.stringify(latest)}\n`)
  const start = () => {
    child = spawn(process.execPath, [PROGRAM], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
    child.unref()
    // It has ended, which `exit` tells of.
    child.stdin?.on('error', () => undefined)
    child.on('error', () => undefined)
    child.once('exit', () => isClosed || setTimeout(() => isClosed || start(), START_AGAIN_MS).unref())
    send()
  }
  start()
  return {
    watch: processes => {
      latest = processes
      send()
    },
    close: () => {
      isClosed = true
      latest = []
      send()
      child.stdin?.end()
    },
  }
}
