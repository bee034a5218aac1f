import { inTransaction, type Database } from '../../../infra/postgres/database.ts'
import { createGroupCommit } from '../../../infra/postgres/group-commit.ts'
import { JobSuperseded } from '../jobs/superseded.ts'
import type { Append, LogWriter, NewEvent } from './event-log.rules.ts'
import { insertAppends } from './event-log.sql.ts'

/** Appends durably. Errors: JobSuperseded where another writer has the log. */
export type AppendEvents = (append: Append) => Promise<void>

/** Appends of all logs of a process leave in groups; a log's next append must wait for its last. */
export function createEventAppends(db: Database): AppendEvents {
  const commit = createGroupCommit<Append, boolean>(async group => {
    const durable = await inTransaction(db, tx => insertAppends(tx, group))
    return group.map(append => durable.has(append.logId))
  })
  return async append => {
    if (!(await commit(append))) throw new JobSuperseded()
  }
}

/** A writer's own view of its log: gathers events and appends them in order, one append at a time. */
export interface EventWriter {
  add(event: NewEvent): void
  /** What has been added so far is durable. Errors: JobSuperseded. */
  flush(): Promise<void>
  /** The last append, to be written in a transaction of the caller's own. Nothing can be added after it. */
  lastAppend(events: NewEvent[]): Promise<Append>
}

/** Gathers for so long before an append leaves. */
const GATHER_MS = 50

export interface EventWriterOptions {
  append: AppendEvents
  writer: LogWriter
  /** One event in place of two that follow each other, where they can be one. */
  merge: (before: NewEvent, after: NewEvent) => NewEvent | undefined
  /** Told of an append that did not go through; every later call rejects with its error. */
  failed: (error: unknown) => void
}

export function createEventWriter({ append, writer, merge, failed }: EventWriterOptions): EventWriter {
  let gathered: NewEvent[] = []
  let step = 0
  let timer: NodeJS.Timeout | undefined
  let appending: Promise<void> = Promise.resolve()
  const next = (events: NewEvent[], closes: boolean): Append => ({ ...writer, step: (step += 1), events, closes })

  const flush = (): Promise<void> => {
    clearTimeout(timer)
    timer = undefined
    appending = appendNext(appending)
    appending.catch(failed)
    return appending
  }

  const appendNext = async (before: Promise<void>): Promise<void> => {
    await before
    const events = gathered
    gathered = []
    if (events.length > 0) await append(next(events, false))
  }

  return {
    add: event => {
      const last = gathered.at(-1)
      const merged = last === undefined ? undefined : merge(last, event)
      if (merged === undefined) gathered.push(event)
      else gathered[gathered.length - 1] = merged
      timer ??= setTimeout(() => void flush().catch(() => undefined), GATHER_MS)
    },
    flush,
    lastAppend: async events => {
      await flush()
      return next(events, true)
    },
  }
}
