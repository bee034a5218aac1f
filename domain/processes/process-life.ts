import type { Log } from '../../infra/log.ts'
import type { Database } from '../../infra/postgres/database.ts'
import { newRequestId } from '../ids.ts'
import { createLoop } from '../jobs/loop.ts'
import { deleteProcess, insertProcess, touchProcess } from './process.sql.ts'

const SPEAK_EVERY_MS = 1_000

/**
 * That this process is up, as the others know it. It speaks every second; after `lostAfterMs` of silence the control
 * worker declares it lost and gives what it held to others (domain/calls/lost-processes.ts). A process that may have been silent
 * for half of that uses nothing that it holds before it has spoken again.
 */
export interface ProcessLife {
  /** What it holds things under; another one after it was declared lost. */
  readonly id: string
  /** Whether what it holds is certainly still its own. */
  isHeard(): boolean
  /** Speaks, where that is not so. Errors: where the database is away. */
  beHeard(): Promise<void>
  /** Speaks now, in any case: it is told that it was declared lost. Errors: where the database is away. */
  speak(): Promise<void>
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
export async function beginProcessLife({ db, log, lostAfterMs }: Deps): Promise<ProcessLife> {
  const lostHandlers: (() => void)[] = []
  let id = newRequestId()
  let heardAtMs = performance.now()
  let speaking: Promise<void> | undefined
  await insertProcess(db, id)

  const beginAnew = async () => {
    log.error({ processId: id }, 'this process was silent and declared lost: it begins anew')
    id = newRequestId()
    lostHandlers.forEach(handle => handle())
    await insertProcess(db, id)
  }
  const say = async () => {
    const sentAtMs = performance.now()
    if (!(await touchProcess(db, id))) await beginAnew()
    heardAtMs = sentAtMs
  }
  const speak = () => (speaking ??= say().finally(() => (speaking = undefined)))
  const isHeard = () => performance.now() - heardAtMs < lostAfterMs / 2
  const loop = createLoop({
    name: 'process life',
    everyMs: SPEAK_EVERY_MS,
    log,
    turn: async () => {
      await speak()
      return false
    },
  })

  return {
    get id() {
      return id
    },
    isHeard,
    speak,
    beHeard: async () => {
      // What was under way may have been sent before the silence.
      while (!isHeard()) await speak()
    },
    onLost: handler => void lostHandlers.push(handler),
    stop: async () => {
      await loop.stop()
      await deleteProcess(db, id).catch((error: unknown) => log.warn({ err: error }, 'this process will be found lost'))
    },
  }
}
