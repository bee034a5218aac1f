import type { Database } from '../../infra/postgres/database.ts'
import type { Listener } from '../../infra/postgres/listener.ts'
import { paymentRequired } from '../errors.ts'
import { availableNanos, requireAccount } from './ledger.service.ts'
import { ACCOUNT_CHANGES, type AccountRow } from './ledger.sql.ts'
import { usdText, type Nanos } from './money.rules.ts'

const FRESH_MS = 1_000
const ACCOUNT_LIMIT = 100_000

interface CachedAccount {
  availableNanos: Nanos
  reservedNanos: Nanos
  readAtMs: number
}

/** The worst case of a call that is under way. */
export interface Reservation {
  release(): void
}

/**
 * Balances as this process last saw them, less the worst cases of its calls under way. A call is admitted against
 * that without a query; every commit refreshes it. What several processes can overshoot is bounded by the calls
 * they have under way: each sees the others' commits within a second or at its own next commit.
 */
export interface Balances {
  /** Errors: 402 where the account cannot pay the worst case. */
  reserve(userId: string, worstCaseNanos: Nanos): Promise<Reservation>
  /** Takes over what a commit returned. */
  refresh(accounts: readonly AccountRow[]): void
}

export function createBalances(deps: { db: Database; listener: Listener }): Balances {
  const accounts = new Map<string, CachedAccount>()
  const expire = () => accounts.forEach(account => (account.readAtMs = 0))
  deps.listener.on(ACCOUNT_CHANGES, userId => {
    const account = accounts.get(userId)
    if (account !== undefined) account.readAtMs = 0
  })
  deps.listener.onGap(expire)

  const store = (row: AccountRow): CachedAccount => {
    const known = accounts.get(row.user_id)
    const account = known ?? { availableNanos: 0n, reservedNanos: 0n, readAtMs: 0 }
    account.availableNanos = availableNanos(row)
    account.readAtMs = Date.now()
    if (known === undefined) remember(row.user_id, account)
    return account
  }

  const remember = (userId: string, account: CachedAccount) => {
    if (accounts.size >= ACCOUNT_LIMIT) {
      for (const [id, idle] of accounts) if (idle.reservedNanos === 0n) accounts.delete(id)
    }
    accounts.set(userId, account)
  }

  const read = async (userId: string) => store(await requireAccount(deps.db, userId))

  return {
    refresh: rows => rows.forEach(row => accounts.has(row.user_id) && store(row)),
    reserve: async (userId, worstCaseNanos) => {
      const cached = accounts.get(userId)
      const fresh = cached !== undefined && Date.now() - cached.readAtMs < FRESH_MS
      const account = fresh ? cached : await read(userId)
      requireCovered(account, worstCaseNanos)
      account.reservedNanos += worstCaseNanos
      return { release: once(() => (account.reservedNanos -= worstCaseNanos)) }
    },
  }
}

function requireCovered(account: CachedAccount, worstCaseNanos: Nanos): void {
  const spendable = account.availableNanos - account.reservedNanos
  if (account.availableNanos <= 0n)
    throw paymentRequired('payment_required: this account has no credit left. Add credit.')
  if (spendable >= worstCaseNanos) return
  throw paymentRequired(
    `payment_required: this call may cost up to ${usdText(worstCaseNanos)} USD and ${usdText(spendable > 0n ? spendable : 0n)} USD ` +
      'are free. Add credit, or ask for fewer output tokens with `max_completion_tokens`.',
  )
}

function once(action: () => void): () => void {
  let done = false
  return () => {
    if (done) return
    done = true
    action()
  }
}
