import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../../../infra/log.ts'
import type { Database } from '../../../infra/postgres/database.ts'
import { rateLimited } from '../../core/errors.ts'
import { newRequestId } from '../../core/ids.ts'
import { createLoop } from '../../../infra/loop.ts'
import { exchangeLeases } from './leases.ts'
import { exchangeSlots, type StreamSlots } from './stream-slots.rules.ts'

/** A slot that another process's stream just left is still on its way back. */
const LOOK_AGAIN_MS = 100
/** Nobody knows when a stream ends. */
const RETRY_AFTER_SECONDS = 1

/** Concurrent streams of keys, over all API processes. */
export interface StreamLimiter {
  /** Takes a slot; resolves with its release, which may be called more than once. Errors: 429; where the database has to be asked and is away. */
  acquire(keyId: string, limit: number): Promise<() => void>
  /** Gives back what is held. */
  stop(): Promise<void>
}

interface Context {
  db: Database
  log: Log
  leaseMs: number
  holder: string
}

/** What this process holds of a key's limit: open <= held, unless the lease lapsed while the database was away. */
interface Slots {
  keyId: string
  limit: number
  held: number
  open: number
  /** Of those held, at most so many without a stream. */
  spare: number
  waiting: number
  goodUntilMs: number
  /** One at a time; whether one more was asked for and refused. */
  exchanging: Promise<boolean> | undefined
}

export function createStreamLimiter(deps: { db: Database; log: Log; leaseMs: number }): StreamLimiter {
  const context: Context = { ...deps, holder: newRequestId() }
  const all = new Map<string, Slots>()
  const renew = async () => {
    for (const slots of all.values()) {
      await slots.exchanging
      if (slots.open === 0) slots.spare = 0
      await exchangeShared(context, slots, false)
      if (slots.open + slots.held + slots.waiting === 0) all.delete(slots.keyId)
    }
    return false
  }
  const loop = createLoop({ name: 'stream limits', everyMs: deps.leaseMs / 3, log: deps.log, turn: renew })

  return {
    acquire: async (keyId, limit) => {
      const slots = all.get(keyId) ?? newSlots(keyId)
      all.set(keyId, slots)
      slots.limit = limit
      slots.waiting += 1
      try {
        await takeSlot(context, slots)
      } finally {
        slots.waiting -= 1
      }
      return releaseOf(context, slots)
    },
    stop: async () => {
      await loop.stop()
      await renew().catch((error: unknown) => deps.log.warn({ err: error }, 'stream slots end with their lease'))
    },
  }
}

const newSlots = (keyId: string): Slots => ({
  keyId,
  limit: 0,
  held: 0,
  open: 0,
  spare: 0,
  waiting: 0,
  goodUntilMs: 0,
  exchanging: undefined,
})

async function takeSlot(context: Context, slots: Slots): Promise<void> {
  let isLast = false
  while (slots.open >= slots.held || performance.now() >= slots.goodUntilMs) {
    if (!(await exchangeShared(context, slots, true))) continue
    if (isLast) throw rateLimited(`This API key may have ${slots.limit} streams open at once.`, RETRY_AFTER_SECONDS)
    isLast = true
    await delay(LOOK_AGAIN_MS)
  }
  slots.open += 1
}

function releaseOf(context: Context, slots: Slots): () => void {
  let isOpen = true
  return () => {
    if (!isOpen) return
    isOpen = false
    slots.open -= 1
    giveBackSpare(context, slots).catch((error: unknown) => {
      context.log.warn({ err: error }, 'a stream slot goes back with the next renewal')
    })
  }
}

async function giveBackSpare(context: Context, slots: Slots): Promise<void> {
  await slots.exchanging
  if (slots.held - slots.open > slots.spare) await exchangeShared(context, slots, false)
}

function exchangeShared(context: Context, slots: Slots, wantsMore: boolean): Promise<boolean> {
  slots.exchanging ??= exchange(context, slots, wantsMore).finally(() => (slots.exchanging = undefined))
  return slots.exchanging
}

async function exchange({ db, holder, leaseMs }: Context, slots: Slots, wantsMore: boolean): Promise<boolean> {
  const sentAtMs = performance.now()
  // What is not kept is out of this process's hands from here on.
  slots.held = sentAtMs < slots.goodUntilMs ? Math.min(slots.held, slots.open + slots.spare) : slots.open
  const { keyId, limit, held: kept } = slots
  const { granted, spare } = await exchangeLeases(db, keyId, 'streams', (state: StreamSlots | undefined, nowMs) =>
    exchangeSlots(state ?? { held: {} }, { holder, limit, kept, wantsMore, leaseMs, nowMs }),
  )
  slots.held += granted
  slots.spare = spare
  slots.goodUntilMs = sentAtMs + leaseMs
  return wantsMore && granted === 0
}
