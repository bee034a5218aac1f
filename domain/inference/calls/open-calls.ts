import type { Log } from '../../../infra/log.ts'
import type { Database } from '../../../infra/postgres/database.ts'
import { createLoop } from '../../../infra/loop.ts'
import type { ProcessHeartbeat } from '../../durable/processes/heartbeat.ts'
import type { CallRecord } from './call.rules.ts'
import { upsertOpenCalls, type OpenCall } from './open-calls.sql.ts'

const WRITE_EVERY_MS = 1_000
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
  heartbeat: ProcessHeartbeat
  log: Log
}

export function createOpenCalls({ db, heartbeat, log }: Deps): OpenCalls {
  /** Oldest first. */
  const open = new Set<CallUnderWay>()
  /** How far each was when that was written down. */
  const written = new Map<string, string>()
  const ended = new Set<string>()
  heartbeat.onLost(() => {
    written.clear()
    ended.clear()
  })

  const writeChanges = async () => {
    const changed = changedSince(written, open)
    const endedIds = [...ended]
    if (changed.length + endedIds.length === 0) return false
    try {
      await upsertOpenCalls(db, heartbeat.id, changed, endedIds)
    } catch (error) {
      for (const { call } of changed) if (written.has(call.id)) written.set(call.id, '')
      throw error
    }
    endedIds.forEach(id => ended.delete(id))
    return false
  }
  const loop = createLoop({ name: 'open calls', everyMs: WRITE_EVERY_MS, log, turn: writeChanges })

  return {
    add: call => void open.add(call),
    remove: call => {
      open.delete(call)
      if (written.delete(call.start.requestId)) ended.add(call.start.requestId)
    },
    stop: async () => {
      await loop.stop()
      await writeChanges().catch((error: unknown) =>
        log.warn({ err: error }, 'open calls end when this process is found lost'),
      )
    },
  }
}

/** Those that are further than was written; what is sent counts as written, and is sent again once they are further. */
function changedSince(written: Map<string, string>, open: Iterable<CallUnderWay>): OpenCall[] {
  const changed: OpenCall[] = []
  const openedBefore = Date.now() - OPEN_FOR_MS
  for (const underWay of open) {
    if (underWay.createdAt.getTime() > openedBefore) break
    const call = underWay.ifLost()
    const progress = `${call.upstream} ${call.usage.input} ${call.usage.output}`
    if (written.get(call.id) === progress) continue
    written.set(call.id, progress)
    changed.push({ call, worstCaseNanos: underWay.start.worstCaseNanos })
  }
  return changed
}
