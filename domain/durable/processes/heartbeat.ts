import type { Log } from '../../../infra/log.ts'
import type { Database } from '../../../infra/postgres/database.ts'
import { newRequestId } from '../../core/ids.ts'
import { createLoop } from '../../../infra/loop.ts'
import { deleteProcess, insertProcess, touchProcess } from './process.sql.ts'

const BEAT_EVERY_MS = 1_000

/**
 * That this process is up, as the others know it. It beats every second; after `lostAfterMs` of silence the control
 * worker declares it lost and gives what it held to others (domain/inference/calls/lost-processes.ts). A process that may have been silent
 * for half of that uses nothing that it holds before it has beaten again.
 */
export interface ProcessHeartbeat {
  /** What it holds things under; another one after it was declared lost. */
  readonly id: string
  /** Whether what it holds is certainly still its own. */
  isFresh(): boolean
  /** Beats, where that is not so. Errors: where the database is away. */
  ensureFresh(): Promise<void>
  /** Beats now, in any case: it is told that it was declared lost. Errors: where the database is away. */
  beat(): Promise<void>
  /** Calls `handler` when what it held has been given to others. */
  onLost(handler: () => void): void
  /** Says goodbye. Call it when nothing is held any more. */
  stop(): Promise<void>
}

interface Deps {
  db: Database
  log: Log
  lostAfterMs: number
}

/** Errors: where the database is away. */
export async function startProcessHeartbeat({ db, log, lostAfterMs }: Deps): Promise<ProcessHeartbeat> {
  const lostHandlers: (() => void)[] = []
  let id = newRequestId()
  let beatAtMs = performance.now()
  let beating: Promise<void> | undefined
  await insertProcess(db, id)

  const registerAnew = async () => {
    log.error({ processId: id }, 'this process was silent and declared lost: it begins anew')
    id = newRequestId()
    lostHandlers.forEach(handle => handle())
    await insertProcess(db, id)
  }
  const sendBeat = async () => {
    const sentAtMs = performance.now()
    if (!(await touchProcess(db, id))) await registerAnew()
    beatAtMs = sentAtMs
  }
  const beat = () => (beating ??= sendBeat().finally(() => (beating = undefined)))
  const isFresh = () => performance.now() - beatAtMs < lostAfterMs / 2
  const loop = createLoop({
    name: 'process heartbeat',
    everyMs: BEAT_EVERY_MS,
    log,
    turn: async () => {
      await beat()
      return false
    },
  })

  return {
    get id() {
      return id
    },
    isFresh,
    beat,
    ensureFresh: async () => {
      // What was under way may have been sent before the silence.
      while (!isFresh()) await beat()
    },
    onLost: handler => void lostHandlers.push(handler),
    stop: async () => {
      await loop.stop()
      await deleteProcess(db, id).catch((error: unknown) => log.warn({ err: error }, 'this process will be found lost'))
    },
  }
}
