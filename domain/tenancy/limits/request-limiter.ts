import type { Log } from '../../../infra/log.ts'
import type { Database } from '../../../infra/postgres/database.ts'
import { newRequestId } from '../../core/ids.ts'
import { createLoop } from '../../../infra/loop.ts'
import { exchangeLeases } from './leases.ts'
import {
  admitOne,
  admitted,
  beginExchange,
  changeLimit,
  dueOf,
  isExhausted,
  isRunningOut,
  newSlice,
  refused,
  settleExchange,
  type RequestAllowance,
  type RequestSlice,
} from './request-slice.rules.ts'
import { exchangeRequests, type RequestWindow } from './request-window.rules.ts'

const LOOK_EVERY_MS = 1_000
/** How soon a refill that failed is tried again; a call that holds nothing tries at once. */
const REFILL_PAUSE_MS = 500

/** Requests per minute of keys, over all API processes, admitted from what this one holds of them. */
export interface RequestLimiter {
  /** Counts a request of the key. Errors: where nothing is held and the database is away. */
  admit(keyId: string, limit: number): Promise<RequestAllowance>
  /** Gives back what is held. */
  stop(): Promise<void>
}

interface Deps {
  db: Database
  log: Log
}

interface Entry {
  keyId: string
  slice: RequestSlice
  /** One at a time: who waits shares it, and asks again where it brought nothing. */
  exchanging: Promise<void> | undefined
  refillFromMs: number
}

export function createRequestLimiter(deps: Deps): RequestLimiter {
  const holder = newRequestId()
  const entries = new Map<string, Entry>()
  const exchange = (entry: Entry, wantsMore: boolean) => exchangeShared(deps, holder, entry, wantsMore)

  const giveBack = async (entry: Entry) => {
    await entry.exchanging
    entry.slice.size = 0
    await exchange(entry, false)
  }
  const lookAfter = async () => {
    for (const entry of entries.values()) {
      const due = dueOf(entry.slice, performance.now())
      if (due === 'report') await exchange(entry, false)
      if (due === 'giveBack') await giveBack(entry)
      // A call may have come meanwhile.
      if (dueOf(entry.slice, performance.now()) === 'forget') entries.delete(entry.keyId)
    }
    return false
  }
  const loop = createLoop({ name: 'request limits', everyMs: LOOK_EVERY_MS, log: deps.log, turn: lookAfter })

  return {
    admit: (keyId, limit) => {
      const entry = entries.get(keyId) ?? newEntry(keyId, limit)
      entries.set(keyId, entry)
      if (entry.slice.limit !== limit) changeLimit(entry.slice, limit, performance.now())
      return admitOrRefuse(deps, holder, entry)
    },
    stop: async () => {
      await loop.stop()
      try {
        for (const entry of entries.values()) await giveBack(entry)
      } catch (error) {
        deps.log.warn({ err: error }, 'held requests come free in a minute')
      }
    },
  }
}

const newEntry = (keyId: string, limit: number): Entry => ({
  keyId,
  slice: newSlice(limit, performance.now()),
  exchanging: undefined,
  refillFromMs: 0,
})

async function admitOrRefuse(deps: Deps, holder: string, entry: Entry): Promise<RequestAllowance> {
  const { slice } = entry
  while (!admitOne(slice, performance.now())) {
    if (isExhausted(slice, performance.now())) return refused(slice, performance.now())
    await exchangeShared(deps, holder, entry, true)
  }
  refillAhead(deps, holder, entry)
  return admitted(slice)
}

/** Asks for more before there is none, so that no call has to wait for it. */
function refillAhead(deps: Deps, holder: string, entry: Entry): void {
  const nowMs = performance.now()
  if (entry.exchanging !== undefined || nowMs < entry.refillFromMs || !isRunningOut(entry.slice, nowMs)) return
  exchangeShared(deps, holder, entry, true).catch((error: unknown) => {
    entry.refillFromMs = performance.now() + REFILL_PAUSE_MS
    deps.log.warn({ err: error }, 'a rate limit could not be refilled ahead')
  })
}

function exchangeShared(deps: Deps, holder: string, entry: Entry, wantsMore: boolean): Promise<void> {
  entry.exchanging ??= exchange(deps, holder, entry, wantsMore).finally(() => (entry.exchanging = undefined))
  return entry.exchanging
}

async function exchange({ db }: Deps, holder: string, { keyId, slice }: Entry, wantsMore: boolean): Promise<void> {
  const sentAtMs = performance.now()
  const report = beginExchange(slice, wantsMore, sentAtMs)
  const grant = await exchangeLeases(db, keyId, 'requests', (window: RequestWindow | undefined, nowMs) =>
    exchangeRequests(window ?? { used: [], held: {} }, { ...report, holder, nowMs }),
  )
  settleExchange(slice, report, grant, sentAtMs, performance.now())
}
