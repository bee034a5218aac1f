import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { ConfigError } from '../infra/config.ts'
import { identify, isAlive, stopProcess, type ProcessIdentity } from './process-identity.ts'
import { lastSentence, logPath, openLog } from './process-log.ts'

export interface ProcessSpec {
  name: string
  command: string
  args: string[]
  env: NodeJS.ProcessEnv
  /** Resolves when the process does its work; polled from its start, or told by its `ready` message. */
  isReady: 'message' | (() => Promise<boolean>)
  startTimeoutMs: number
  /** How often it is started before it is given up, where it ends before it is ready; once unless told. */
  startAttempts?: number
  /** Runs when what answers requests leaves the processor free. */
  isInBackground?: boolean
  stopSignal: NodeJS.Signals
  stopGraceMs: number
}

export interface ManagedProcess {
  /** Resolves when it does its work. Errors: ConfigError, naming its log, where it ends before or takes too long. */
  ready: Promise<void>
  /** Ends it for good: in order, and with SIGKILL after its grace or the time given, whichever is less. */
  stop(withinMs: number): Promise<void>
  /** Ends it for good, without waiting. */
  kill(): void
}

interface Watcher {
  /** The process is another one now, or gone. */
  changed(name: string, identity: ProcessIdentity | undefined): void
  printLine(line: string): void
}

interface Launched {
  child: ChildProcess
  identity: ProcessIdentity | undefined
  /** How it ended. */
  ended: Promise<string>
  logSizeBytes: number
}

const FIRST_RESTART_MS = 250
const LONGEST_RESTART_MS = 10_000
const START_AGAIN_MS = 1_000
/** A process that ran this long starts again at once. */
const STEADY_MS = 10_000
const POLL_EVERY_MS = 100

/**
 * Starts a process in a group of its own (a terminal's Ctrl-C reaches the supervisor alone). Once it was ready it is
 * started again, with a growing pause, whenever it ends unasked.
 */
export function manageProcess(dataDir: string, spec: ProcessSpec, watcher: Watcher): ManagedProcess {
  const launchKnown = () => {
    const launched = launch(dataDir, spec)
    watcher.changed(spec.name, launched.identity)
    return launched
  }
  let current = launchKnown()
  let stopping = false

  const keepRunning = async () => {
    let pauseMs = FIRST_RESTART_MS
    for (;;) {
      const startedAtMs = Date.now()
      const how = await current.ended
      watcher.changed(spec.name, undefined)
      if (stopping) return
      if (Date.now() - startedAtMs > STEADY_MS) pauseMs = FIRST_RESTART_MS
      watcher.printLine(`${spec.name} ended (${how}): starting it again`)
      await delay(pauseMs)
      if (stopping) return
      pauseMs = Math.min(pauseMs * 2, LONGEST_RESTART_MS)
      current = launchKnown()
    }
  }

  const firstStart = async () => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await becomesReady(current, spec, logPath(dataDir, spec.name))
      } catch (error) {
        const isHanging = current.identity !== undefined && isAlive(current.identity)
        if (stopping || isHanging || attempt >= (spec.startAttempts ?? 1)) throw error
      }
      await delay(START_AGAIN_MS)
      if (!stopping) current = launchKnown()
    }
  }

  const ready = firstStart()
  ready
    .then(keepRunning, () => undefined)
    .catch((error: unknown) => watcher.printLine(`${spec.name} cannot be started again (${String(error)})`))
  return {
    ready,
    stop: async withinMs => {
      stopping = true
      const { identity } = current
      if (identity !== undefined) await stopProcess(identity, spec.stopSignal, Math.min(spec.stopGraceMs, withinMs))
    },
    kill: () => {
      stopping = true
      current.child.kill('SIGKILL')
    },
  }
}

function launch(dataDir: string, spec: ProcessSpec): Launched {
  const { descriptor, sizeBytes } = openLog(dataDir, spec.name)
  const channel = spec.isReady === 'message' ? (['ipc'] as const) : []
  try {
    const child = spawn(spec.command, spec.args, {
      env: spec.env,
      detached: true,
      stdio: ['ignore', descriptor, descriptor, ...channel],
    })
    if (child.pid !== undefined && spec.isInBackground === true) yieldProcessor(child.pid)
    const identity = child.pid === undefined ? undefined : identify(child.pid)
    return { child, identity, ended: endOf(child), logSizeBytes: sizeBytes }
  } finally {
    closeSync(descriptor)
  }
}

function yieldProcessor(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL)
  } catch {
    // It has ended already, which whoever waits for it is told.
  }
}

/** A child that could not be spawned tells an error, and nothing else. */
function endOf(child: ChildProcess): Promise<string> {
  return new Promise(resolve => {
    child.once('exit', (code, signal) => resolve(signal ?? `code ${code ?? '?'}`))
    child.on('error', error => {
      if (child.pid === undefined) resolve(error.message)
    })
  })
}

async function becomesReady({ child, ended, logSizeBytes }: Launched, spec: ProcessSpec, log: string): Promise<void> {
  const over = new AbortController()
  const seconds = spec.startTimeoutMs / 1000
  const timeout = setTimeout(() => over.abort(`not ready after ${seconds} s`), spec.startTimeoutMs)
  void ended.then(how => over.abort(how))
  try {
    await (spec.isReady === 'message' ? readyMessage(child, over.signal) : poll(spec.isReady, over.signal))
  } catch {
    const message = spec.isReady === 'message' ? lastSentence(log, logSizeBytes) : undefined
    const reason = (message ?? String(over.signal.reason)).replace(/\.$/, '')
    throw new ConfigError(`${spec.name} did not start (${reason}): see ${log}.`)
  } finally {
    clearTimeout(timeout)
  }
}

async function readyMessage(child: ChildProcess, signal: AbortSignal): Promise<void> {
  for (;;) {
    const [message] = (await once(child, 'message', { signal })) as [{ type?: string }]
    if (message.type === 'ready') return
  }
}

async function poll(isReady: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
  while (!(await isReady().catch(() => false))) await delay(POLL_EVERY_MS, undefined, { signal })
  signal.throwIfAborted()
}
