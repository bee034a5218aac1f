import type { Database } from '../../../infra/postgres/database.ts'
import type { Listener } from '../../../infra/postgres/listener.ts'
import type { LogEvent } from './event-log.rules.ts'
import { LOG_APPENDS, selectEvents, selectLog } from './event-log.sql.ts'

const LOOK_EVERY_MS = 2_000
const PAGE = 200
/** Events of a live log that are kept for all of its readers; who is further behind reads from the database. */
const MOST_RECENT = 32

/** Follows logs for the readers of a process: one query a log and wake-up, however many read it. */
export interface LogReaders {
  /**
   * Events after `afterSeq`, in order, as they come; ends when the signal aborts. A number beyond the log's end is no
   * error: nothing comes until the log has passed it.
   */
  follow(logId: string, afterSeq: number, signal: AbortSignal): AsyncGenerator<LogEvent, void>
}

/** The end of a log as this process knows it. */
interface Tail {
  readers: number
  /** Contiguous, the newest last. */
  recent: LogEvent[]
  /** Of the log itself, never of what a reader asked for: it is from here that the process looks for more. */
  lastSeq: number
  /** Resolves when `lastSeq` is the log's. */
  begun: Promise<void>
  /** Counts what was added: a reader that found nothing waits until it moves. */
  version: number
  /** One look at a time; a wake-up meanwhile asks for another. */
  looking: boolean
  again: boolean
  waiters: Set<() => void>
}

export function createLogReaders({ db, listener }: { db: Database; listener: Listener }): LogReaders {
  const tails = new Map<string, Tail>()
  const wake = (logId: string) => {
    const tail = tails.get(logId)
    if (tail !== undefined) void look(db, logId, tail)
  }
  listener.on(LOG_APPENDS, wake)
  listener.onGap(() => [...tails.keys()].forEach(wake))
  // Notifications may be lost: nobody waits for one alone.
  setInterval(() => [...tails.keys()].forEach(wake), LOOK_EVERY_MS).unref()

  const follow = (logId: string): Tail => {
    const tail = tails.get(logId) ?? newTail(db, logId)
    tails.set(logId, tail)
    tail.readers += 1
    return tail
  }
  const unfollow = (logId: string, tail: Tail) => {
    tail.readers -= 1
    if (tail.readers === 0) tails.delete(logId)
  }

  return {
    follow: async function* (logId, afterSeq, signal) {
      const tail = follow(logId)
      try {
        await tail.begun
        for (let seq = afterSeq; !signal.aborted;) {
          const { version } = tail
          const events = await eventsAfter(db, logId, tail, seq)
          if (events.length === 0) {
            await changedSince(tail, version, signal)
            continue
          }
          yield* events
          seq = events.at(-1)?.seq ?? seq
        }
      } finally {
        unfollow(logId, tail)
      }
    },
  }
}

function newTail(db: Database, logId: string): Tail {
  const tail: Tail = {
    readers: 0,
    recent: [],
    lastSeq: 0,
    begun: Promise.resolve(),
    version: 0,
    looking: false,
    again: false,
    waiters: new Set(),
  }
  tail.begun = selectLog(db, logId).then(
    log => void (tail.lastSeq = Math.max(tail.lastSeq, Number(log?.last_seq ?? 0))),
  )
  return tail
}

/** From the tail where it reaches back far enough, else a page of the database. */
async function eventsAfter(db: Database, logId: string, tail: Tail, seq: number): Promise<LogEvent[]> {
  const [oldest] = tail.recent
  if (oldest !== undefined && oldest.seq <= seq + 1) return tail.recent.slice(seq + 1 - oldest.seq)
  const events = await selectEvents(db, logId, seq, PAGE)
  extend(tail, events)
  return events
}

/** Resolves when something was added since that version of the tail, or the signal aborts. */
function changedSince(tail: Tail, version: number, signal: AbortSignal): Promise<void> {
  if (tail.version !== version || signal.aborted) return Promise.resolve()
  return new Promise(resolve => {
    const done = () => {
      tail.waiters.delete(done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    tail.waiters.add(done)
    signal.addEventListener('abort', done, { once: true })
  })
}

async function look(db: Database, logId: string, tail: Tail): Promise<void> {
  tail.again = true
  if (tail.looking) return
  tail.looking = true
  try {
    await tail.begun
    while (tail.again) {
      tail.again = false
      const events = await selectEvents(db, logId, tail.lastSeq, PAGE)
      extend(tail, events)
      if (events.length === PAGE) tail.again = true
    }
  } catch {
    // The database is away: the next look is at most two seconds ahead.
  } finally {
    tail.looking = false
  }
}

/** Takes over what is new, and wakes those who wait for it. */
function extend(tail: Tail, events: readonly LogEvent[]): void {
  const fresh = events.filter(event => event.seq > tail.lastSeq)
  const last = fresh.at(-1)
  if (last === undefined) return
  const isContiguous = tail.recent.at(-1)?.seq === undefined || tail.recent.at(-1)?.seq === (fresh[0]?.seq ?? 0) - 1
  tail.recent = [...(isContiguous ? tail.recent : []), ...fresh].slice(-MOST_RECENT)
  tail.lastSeq = last.seq
  tail.version += 1
  ;[...tail.waiters].forEach(wake => wake())
}
