import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { basename, dirname, isAbsolute } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { findIsolation, type Isolation } from './isolation.ts'
import { limitedCommand, type ChildLimits } from './limits.ts'
import { CappedBytes, LastBytes } from './output.ts'
import { isProgram, SYSTEM_FOLDERS } from './tools.ts'
import { FamilyWatch, type Excess } from './watch.ts'

export interface ChildSpec {
  /** An absolute path: `findTool`. */
  program: string
  /** Given as they are: no shell reads them. */
  args: readonly string[]
  /** Where it works, and what it takes for its home: of `inFreshFolder`. */
  folder: string
  limits: ChildLimits
  /** Aborting ends it; `runChild` rejects with the signal's reason. */
  signal: AbortSignal
  /** Besides PATH, HOME, TMPDIR, LANG and TZ, which are all that it has: nothing of this process' environment. */
  env?: Readonly<Record<string, string>>
  /** What it reads; nothing unless told. */
  input?: Readable | Uint8Array
  /** Called every second while it runs. What it throws ends the child, and `runChild` rejects with it. */
  heartbeat?: () => void
  /** The best that the system has unless told. */
  isolation?: Isolation
}

export interface ChildResult {
  stdout: Buffer
  /** The last 16 KiB. */
  stderr: string
}

export type ChildFault = Excess | 'not_started' | 'output' | 'time' | 'exit'

/** A child that did not do its work. The message names the program and the reason; `stderr` may quote what it read. */
export class ChildFailure extends Error {
  override name = 'ChildFailure'
  readonly fault: ChildFault
  /** Of an `exit`; 128 and the signal's number where a signal ended it. */
  readonly code: number | undefined
  readonly stderr: string
  constructor(program: string, fault: ChildFault, { code, stderr = '' }: { code?: number; stderr?: string } = {}) {
    super(`${basename(program)} ${code === undefined ? FAULTS[fault] : `ended with code ${code}`}`)
    this.fault = fault
    this.code = code
    this.stderr = stderr
  }
}

const FAULTS: Record<ChildFault, string> = {
  not_started: 'cannot be started',
  output: 'wrote more than it may',
  time: 'took too long',
  cpu: 'used the processor for too long',
  memory: 'took too much memory',
  processes: 'started too many processes',
  exit: 'failed',
}

const HEARTBEAT_MS = 1_000
/** Who kept its output open and cannot be ended is not waited for. */
const CLOSED_WITHIN_MS = 5_000
const XCPU_CODE = 128 + 24

/**
 * Runs a program on what strangers sent: in a process group of its own that is ended whole, whatever becomes of it or of
 * this process, within its limits, and without network where the system can do that. Resolves when it and all that it
 * started are gone, and it succeeded. Errors: ChildFailure; the signal's reason; what the input or heartbeat fails with.
 */
export async function runChild(spec: ChildSpec): Promise<ChildResult> {
  // Whatever it fails with before it is read is asked for then.
  if (spec.input instanceof Readable) spec.input.on('error', () => undefined)
  const isolation = spec.isolation ?? (await findIsolation())
  spec.signal.throwIfAborted()
  if (!isAbsolute(spec.program) || !(await isProgram(spec.program))) throw new ChildFailure(spec.program, 'not_started')
  const mark = randomUUID()
  const child = await start(spec, isolation, mark)
  return new RunningChild(spec, child, { isolation, mark: `${MARK}=${mark}` }).result()
}

/** By it those are found that left their group. */
const MARK = 'IPOP_CHILD'

type StartedChild = ChildProcess & { pid: number }

async function start(spec: ChildSpec, isolation: Isolation, mark: string): Promise<StartedChild> {
  const [command = '', ...args] = limitedCommand(isolation, spec.limits, spec.program, spec.args)
  try {
    const child = spawn(command, args, {
      cwd: spec.folder,
      env: { ...environmentOf(spec), [MARK]: mark },
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    })
    await once(child, 'spawn')
    return child as StartedChild
  } catch {
    // Their texts name the arguments.
    throw new ChildFailure(spec.program, 'not_started')
  }
}

const environmentOf = ({ program, folder, env }: ChildSpec): Record<string, string> => ({
  PATH: `${dirname(program)}:${SYSTEM_FOLDERS}`,
  HOME: folder,
  TMPDIR: folder,
  LANG: 'C.UTF-8',
  TZ: 'UTC',
  ...env,
})

class RunningChild {
  readonly #spec: ChildSpec
  readonly #child: ChildProcess
  readonly #stdout: CappedBytes
  readonly #stderr = new LastBytes()
  readonly #watch: FamilyWatch
  /** Why it was stopped, the first reason. */
  #stop: { error: unknown } | undefined

  constructor(spec: ChildSpec, child: StartedChild, kept: { isolation: Isolation; mark: string }) {
    this.#spec = spec
    this.#child = child
    this.#stdout = new CappedBytes(spec.limits.outputBytes)
    this.#watch = new FamilyWatch({ root: child.pid, limits: spec.limits, ...kept }, excess => this.#stopFor(excess))
    child.stdout?.on('data', (part: Buffer) => this.#stdout.take(part) || this.#stopFor('output'))
    child.stderr?.on('data', (part: Buffer) => this.#stderr.take(part))
    child.on('error', () => undefined)
    // A pipe whose other end is gone: how the child ended says more.
    for (const pipe of child.stdio) pipe?.on('error', () => undefined)
  }

  async result(): Promise<ChildResult> {
    const { signal, limits } = this.#spec
    const onAbort = () => this.#stopWith(signal.reason)
    const timer = setTimeout(() => this.#stopFor('time'), limits.seconds * 1000)
    const beat = setInterval(() => this.#beat(), HEARTBEAT_MS)
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
    try {
      const fed = this.#feed()
      const code = await this.#ended()
      await fed
      return this.#judge(code)
    } finally {
      clearTimeout(timer)
      clearInterval(beat)
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Why it failed is asked in this order: what it was stopped for, its limit of the processor's time, its code. */
  #judge(code: number): ChildResult {
    const stderr = this.#stderr.text
    if (this.#stop !== undefined) throw this.#stop.error
    if (code === XCPU_CODE) throw new ChildFailure(this.#spec.program, 'cpu', { stderr })
    if (code !== 0) throw new ChildFailure(this.#spec.program, 'exit', { code, stderr })
    return { stdout: this.#stdout.bytes, stderr }
  }

  /** Resolves to its code when all its processes are gone, and all that they wrote has come. */
  async #ended(): Promise<number> {
    const closed = new Promise<void>(resolve => this.#child.once('close', () => resolve()))
    const code = await new Promise<number>(resolve => {
      this.#child.once('exit', (exitCode, signal) => resolve(exitCode ?? (signal === 'SIGXCPU' ? XCPU_CODE : KILLED)))
    })
    await this.#watch.end()
    const giveUp = setTimeout(() => this.#child.stdio.forEach(pipe => pipe?.destroy()), CLOSED_WITHIN_MS)
    this.#child.stdio[LIFELINE]?.destroy()
    await closed
    clearTimeout(giveUp)
    return code
  }

  async #feed(): Promise<void> {
    const { input = new Uint8Array() } = this.#spec
    const source = input instanceof Readable ? input : Readable.from([input])
    const { stdin } = this.#child
    if (stdin === null) return
    // A child need not read all that it is given: only what the input itself fails with is a failure.
    source.once('error', error => stdin.destroyed || this.#stopWith(error))
    if (source.errored !== null) this.#stopWith(source.errored)
    await pipeline(source, stdin).catch(() => undefined)
  }

  #beat(): void {
    try {
      this.#spec.heartbeat?.()
    } catch (error) {
      this.#stopWith(error)
    }
  }

  #stopFor(fault: ChildFault): void {
    this.#stopWith(new ChildFailure(this.#spec.program, fault, { stderr: this.#stderr.text }))
  }

  #stopWith(error: unknown): void {
    this.#stop ??= { error }
    this.#watch.killGroup()
  }
}

/** The pipe whose end tells the child's watchman that this process is gone. */
const LIFELINE = 3
const KILLED = 128 + 9
