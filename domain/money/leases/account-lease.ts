import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../../../infra/log.ts'
import type { Database } from '../../../infra/postgres/database.ts'
import { SqlState, sqlStateOf } from '../../../infra/postgres/sqlstate.ts'
import { InsufficientCredit, paymentRequired } from '../../core/errors.ts'
import type { ProcessHeartbeat } from '../../durable/processes/heartbeat.ts'
import type { LeaseGrant } from './lease.sql.ts'
import type { Exchange, LeaseExchange } from './lease-exchange.ts'
import { recallLeases } from './leases.ts'
import { usdText, type Nanos } from '../ledger/money.rules.ts'
import {
  beginExchange,
  dueOf,
  freeOf,
  headroomOf,
  isEmpty,
  isRunningOut,
  newSlice,
  recall,
  reserveIn,
  settleExchange,
  settleIn,
  type BalanceSlice,
} from './slice.rules.ts'

interface Context {
  db: Database
  heartbeat: ProcessHeartbeat
  log: Log
  exchange: LeaseExchange
}

/** The worst case of a call that is under way. */
export interface Reservation {
  /** The call is over, and has cost so much. A second time changes nothing. */
  settle(costNanos: Nanos): void
}

/** What Postgres said when a call found too little. */
interface Verdict {
  freeNanos: Nanos
  availableNanos: Nanos
  /** Nobody has leased any, or all gave back what they could. */
  isAll: boolean
}

/**
 * A verdict stands until the account changes, which is notified, and until a call is over: one may have been charged
 * and not settled when Postgres was asked. For this long at most.
 */
const KNOWN_FOR_MS = 1_000
/** How often all other processes are asked to give back. */
const RECALL_EVERY_MS = 100
/** A call that others of its process overtook as often is refused. */
const MOST_ROUNDS = 20

/** What this process has leased of one account, and the calls that wait for more. */
export class AccountLease {
  private slice: BalanceSlice = newSlice(performance.now())
  private readonly waiting = new Set<{ nanos: Nanos }>()
  /** One at a time. */
  private exchanging: Promise<unknown> | undefined
  /** One at a time, for all that wait; counted, since only one that began after a call came tells it anything. */
  private round: Promise<Verdict> | undefined
  private rounds = 0
  private recalledAtMs = -Infinity
  /** Where nobody else has leased any. */
  private known: (Verdict & { atMs: number; settled: number }) | undefined
  private readonly context: Context
  private readonly userId: string

  constructor(context: Context, userId: string) {
    this.context = context
    this.userId = userId
  }

  /** Errors: 402; 404; where the database has to be asked and is away. */
  reserve(worstCaseNanos: Nanos): Promise<Reservation> {
    // An account without credit makes not even calls that cost nothing.
    const nanos = worstCaseNanos > 0n ? worstCaseNanos : 1n
    if (!this.context.heartbeat.isFresh() || !reserveIn(this.slice, nanos, performance.now()))
      return this.waitFor(nanos)
    this.requestAhead()
    return Promise.resolve(reservationOf(this.slice, nanos))
  }

  accountChanged(): void {
    this.known = undefined
  }

  /** Gives back what calls under way do not need. */
  recalled(): void {
    recall(this.slice, performance.now())
    if (isEmpty(this.slice) && this.exchanging === undefined) return
    this.inBackground(this.exchangeFor(0n, 0n))
  }

  /** What was leased is another's now. Calls under way settle with what they reserved from. */
  lost(): void {
    this.slice = newSlice(performance.now())
    this.known = undefined
  }

  /** Reports and gives back what is due. */
  lookAfter(exchange: Exchange): Promise<unknown> {
    const isBusy = this.exchanging !== undefined || this.round !== undefined
    if (isBusy || dueOf(this.slice, performance.now()) !== 'exchange') return Promise.resolve()
    return this.exchangeFor(0n, 0n, exchange)
  }

  isForgettable(): boolean {
    const isBusy = this.exchanging !== undefined || this.waiting.size > 0
    return !isBusy && dueOf(this.slice, performance.now()) === 'forget'
  }

  async giveBack(): Promise<void> {
    this.slice.usedAtMs = -Infinity
    if (!isEmpty(this.slice)) await this.exchangeFor(0n, 0n)
  }

  private async waitFor(nanos: Nanos): Promise<Reservation> {
    const waiter = { nanos }
    const cameAt = this.rounds
    let verdict: Verdict | undefined = this.knownVerdict()
    this.waiting.add(waiter)
    try {
      for (let round = 0; ; round += 1) {
        await this.context.heartbeat.ensureFresh()
        if (reserveIn(this.slice, nanos, performance.now())) return reservationOf(this.slice, nanos)
        if (verdict !== undefined && (isTooLittle(verdict, this.slice, nanos) || round === MOST_ROUNDS))
          throw refusal(verdict, nanos, this.slice)
        verdict = await this.nextRound(cameAt)
      }
    } finally {
      this.waiting.delete(waiter)
    }
  }

  private knownVerdict(): Verdict | undefined {
    const { known, slice } = this
    if (known === undefined || known.settled !== slice.settled) return undefined
    return performance.now() - known.atMs < KNOWN_FOR_MS ? known : undefined
  }

  /** Undefined from a round that had begun before. */
  private async nextRound(cameAt: number): Promise<Verdict | undefined> {
    if (this.round === undefined) {
      this.rounds += 1
      this.round = this.runRound().finally(() => (this.round = undefined))
    }
    const number = this.rounds
    const verdict = await this.round
    return number > cameAt ? verdict : undefined
  }

  /** Asks for what the first that waits needs, and a little more; has others give back where it is not free. */
  private async runRound(): Promise<Verdict> {
    const [first] = this.waiting
    const nanos = first?.nanos ?? 0n
    let { settled } = this.slice
    let grant = await this.exchangeFor(nanos, this.waitingNanos() - nanos)
    let isAll = grant.others_nanos === 0n
    if (freeOf(this.slice) < nanos && !isAll) {
      await this.recallOthers()
      settled = this.slice.settled
      grant = await this.exchangeFor(nanos, this.waitingNanos() - nanos)
      isAll = true
    }
    const verdict = { freeNanos: grant.free_nanos, availableNanos: grant.available_nanos, isAll }
    this.known = grant.others_nanos === 0n ? { ...verdict, atMs: performance.now(), settled } : undefined
    return verdict
  }

  private waitingNanos(): Nanos {
    let sum = 0n
    for (const { nanos } of this.waiting) sum += nanos
    return sum
  }

  private async recallOthers(): Promise<void> {
    const pauseMs = this.recalledAtMs + RECALL_EVERY_MS - performance.now()
    if (pauseMs > 0) await delay(pauseMs)
    this.recalledAtMs = performance.now()
    await recallLeases(this.context.db, this.userId, this.context.heartbeat.id)
  }

  private requestAhead(): void {
    const nowMs = performance.now()
    if (this.exchanging !== undefined || this.round !== undefined || !isRunningOut(this.slice, nowMs)) return
    this.inBackground(this.exchangeFor(0n, headroomOf(this.slice, nowMs) - freeOf(this.slice)))
  }

  private inBackground(exchange: Promise<unknown>): void {
    exchange.catch((error: unknown) => {
      this.slice.moreFromMs = performance.now() + RECALL_EVERY_MS
      this.context.log.warn({ err: error }, 'a leased balance could not be exchanged')
    })
  }

  /** Reports, keeps what is of use, and asks so that a call of that worst case can be admitted, and for some more. */
  private async exchangeFor(callNanos: Nanos, moreNanos: Nanos, send?: Exchange): Promise<LeaseGrant> {
    while (this.exchanging !== undefined) await this.exchanging
    const exchanged = this.exchangeOnce(callNanos, moreNanos, send ?? this.context.exchange.now)
    this.exchanging = exchanged
      .then(
        () => undefined,
        () => undefined,
      )
      .finally(() => (this.exchanging = undefined))
    return exchanged.catch(async (error: unknown) => {
      if (sqlStateOf(error) !== SqlState.processLost) throw error
      // It is told so, and asks again under its new name.
      await this.context.heartbeat.beat()
      return this.exchangeFor(callNanos, moreNanos)
    })
  }

  private async exchangeOnce(callNanos: Nanos, moreNanos: Nanos, send: Exchange): Promise<LeaseGrant> {
    const { slice, userId } = this
    const keptNanos = beginExchange(slice, performance.now())
    this.known = undefined
    const free = freeOf(slice)
    const needNanos = callNanos > free ? callNanos - free : 0n
    const headroom = callNanos > 0n ? headroomOf(slice, performance.now()) : 0n
    const extraNanos = moreNanos > headroom ? moreNanos : headroom
    const grant = await send(this.context.heartbeat.id, { userId, keptNanos, needNanos, extraNanos })
    settleExchange(slice, needNanos + extraNanos, grant.granted_nanos, performance.now())
    return grant
  }
}

function reservationOf(slice: BalanceSlice, nanos: Nanos): Reservation {
  let isOpen = true
  return {
    settle: costNanos => {
      if (!isOpen) return
      isOpen = false
      settleIn(slice, nanos, costNanos)
    },
  }
}

const isTooLittle = ({ freeNanos, isAll }: Verdict, slice: BalanceSlice, nanos: Nanos): boolean =>
  isAll && freeOf(slice) + freeNanos < nanos

function refusal({ availableNanos, freeNanos }: Verdict, nanos: Nanos, slice: BalanceSlice): Error {
  if (availableNanos <= 0n) return paymentRequired('payment_required: this account has no credit left. Add credit.')
  const free = freeOf(slice) + freeNanos
  return new InsufficientCredit(
    `payment_required: this call may cost up to ${usdText(nanos)} USD and ${usdText(free > 0n ? free : 0n)} USD ` +
      'are free. Add credit, or ask for fewer output tokens with `max_completion_tokens`.',
    free,
  )
}
