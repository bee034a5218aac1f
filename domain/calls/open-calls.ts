import type { Log } from '../../infra/log.ts'
import type { Database } from '../../infra/postgres/database.ts'
import { createLoop } from '../jobs/loop.ts'
import type { ProcessLife } from '../processes/process-life.ts'
import type { CallRecord } from './call.rules.ts'
import { tellOpenCalls, type OpenCall } from './open-calls.sql.ts'

const TELL_EVERY_MS = 1_000
/** Shorter calls are told to nobody: they cost nothing but the two entries here. */
const OPEN_FOR_MS = 1_000

/** A call under way. */
export interface CallUnderWay {
  readonly start: { readonly requestId: string; readonly worstCaseNanos: bigint }
  readonly createdAt: Date
  /** What would be recorded of it if this process were lost now. */
  ifLost(): CallRecord
}

/**
 * The calls that this process has under way. Every second those that are open for longer than that are written down,
 * in one statement, with what they have delivered so far: of a process that is killed they are charged from that.
 */
export interface OpenCalls {
  add(call: CallUnderWay): void
  /** It is recorded, or nothing is to be. */
  remove(call: CallUnderWay): void
  /** Forgets what was told. Call it when no call is under way. */
  stop(): Promise<void>
}

interface Deps {
  db: Database
  life: ProcessLife
  log: Log
}

export function createOpenCalls({ db, life, log }: Deps): OpenCalls {
  /** Oldest first. */
  const open = new Set<CallUnderWay>()
  /** How far each was when that was written down. */
  const told = new Map<string, string>()
  const ended = new Set<string>()
  life.onLost(() => {
    told.clear()
    ended.clear()
  })

  const tell = async () => {
    const changed = changedSince(told, open)
    const gone = [...ended]
    if (changed.length + gone.length === 0) return false
    try {
      await tellOpenCalls(db, life.id, changed, gone)
    } catch (error) {
      for (const { call } of changed) if (told.has(call.id)) told.set(call.id, '')
      throw error
    }
    gone.forEach(id => ended.delete(id))
    return false
  }
  const loop = createLoop({ name: 'open calls', everyMs: TELL_EVERY_MS, log, turn: tell })

  return {
    add: call => void open.add(call),
    remove: call => {
      open.delete(call)
      if (told.delete(call.start.requestId)) ended.add(call.start.requestId)
    },
    stop: async () => {
      await loop.stop()
      await tell().catch((error: unknown) => log.warn({ err: error }, 'open calls end when this process is found lost'))
    },
  }
}

/** Those that are further than was told; what is sent counts as told, and is sent again once they are further. */
function changedSince(told: Map<string, string>, open: Iterable<CallUnderWay>): OpenCall[] {
  const changed: OpenCall[] = []
  const openedBefore = Date.now() - OPEN_FOR_MS
  for (const underWay of open) {
    if (underWay.createdAt.getTime() > openedBefore) break
    const call = underWay.ifLost()
    const progress = `${call.upstream} ${call.usage.input} ${call.usage.output}`
    if (told.get(call.id) === progress) continue
    told.set(call.id, progress)
    changed.push({ call, worstCaseNanos: underWay.start.worstCaseNanos })
  }
  return changed
}
