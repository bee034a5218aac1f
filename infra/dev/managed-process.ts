import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ConfigError } from '../config.ts'
import { identify, stopProcess, type ProcessIdentity } from './process-identity.ts'

export interface ProcessSpec {
  name: string
  command: string
  args: string[]
  env: NodeJS.ProcessEnv
  uid?: number
  gid?: number
  /** Resolves when the process does its work; polled from its start, or told by its `ready` message. */
  isReady: 'message' | (() => Promise<boolean>)
  startTimeoutMs: number
  stopSignal: NodeJS.Signals
  stopGraceMs: number
}

export interface ManagedProcess {
  /** Ends it for good. */
  stop(): Promise<void>
  /** Ends it without waiting. */
  kill(): void
}

interface Watcher {
  /** The process is another one now, or gone. */
  changed(name: string, identity: ProcessIdentity | undefined): void
  say(line: string): void
}

const LOG_LIMIT_BYTES = 20 * 1024 * 1024
const FIRST_RESTART_MS = 250
const LONGEST_RESTART_MS = 10_000
/** A process that ran this long starts again at once. */
const STEADY_MS = 10_000
const POLL_EVERY_MS = 100

/**
 * Starts a process in a group of its own (a terminal's Ctrl-C reaches the supervisor alone) and starts it again, with
 * a growing pause, whenever it ends unasked. Errors: ConfigError where it does not come up the first time.
 */
export async function manageProcess(dataDir: string, spec: ProcessSpec, watcher: Watcher): Promise<ManagedProcess> {
  let child = launch(dataDir, spec)
  let startedAtMs = Date.now()
  let stopping = false
  let restartMs = FIRST_RESTART_MS

  const watch = () => {
    watcher.changed(spec.name, child.pid === undefined ? undefined : identify(child.pid))
    child.once('exit', (code, signal) => void restart(signal ?? `code ${code ?? '?'}`))
  }

  const restart = async (why: string) => {
    watcher.changed(spec.name, undefined)
    if (stopping) return
    if (Date.now() - startedAtMs > STEADY_MS) restartMs = FIRST_RESTART_MS
    watcher.say(`${spec.name} ended (${why}): starting it again`)
    await delay(restartMs)
    if (stopping) return
    restartMs = Math.min(restartMs * 2, LONGEST_RESTART_MS)
    child = launch(dataDir, spec)
    startedAtMs = Date.now()
    watch()
  }

  const cameUp = ready(child, spec)
  watcher.changed(spec.name, child.pid === undefined ? undefined : identify(child.pid))
  try {
    await cameUp
  } catch (error) {
    stopping = true
    child.kill('SIGKILL')
    throw error
  }
  watch()
  return {
    stop: async () => {
      stopping = true
      const identity = child.pid === undefined ? undefined : identify(child.pid)
      if (identity !== undefined) await stopProcess(identity, spec.stopSignal, spec.stopGraceMs)
    },
    kill: () => {
      stopping = true
      child.kill('SIGKILL')
    },
  }
}

function launch(dataDir: string, spec: ProcessSpec): ChildProcess {
  const log = openLog(dataDir, spec.name)
  const channel = spec.isReady === 'message' ? (['ipc'] as const) : []
  const child = spawn(spec.command, spec.args, {
    env: spec.env,
    uid: spec.uid,
    gid: spec.gid,
    detached: true,
    stdio: ['ignore', log, log, ...channel],
  })
  closeSync(log)
  child.on('error', () => undefined)
  return child
}

function openLog(dataDir: string, name: string): number {
  mkdirSync(join(dataDir, 'logs'), { recursive: true })
  const path = logPath(dataDir, name)
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (size > LOG_LIMIT_BYTES) renameSync(path, `${path}.1`)
  return openSync(path, 'a', 0o600)
}

const logPath = (dataDir: string, name: string): string => join(dataDir, 'logs', `${name.replaceAll(' ', '-')}.log`)

/** Resolves when the process is up. Errors: ConfigError where it ends or takes too long, naming its log. */
async function ready(child: ChildProcess, spec: ProcessSpec): Promise<void> {
  const over = new AbortController()
  const timeout = setTimeout(() => over.abort(), spec.startTimeoutMs)
  child.once('exit', () => over.abort())
  child.once('error', () => over.abort())
  try {
    await (spec.isReady === 'message' ? readyMessage(child, over.signal) : poll(spec.isReady, over.signal))
  } catch {
    throw new ConfigError(`${spec.name} did not start: see ${spec.name.replaceAll(' ', '-')}.log under DATA_DIR/logs.`)
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
