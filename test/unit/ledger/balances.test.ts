import { describe, expect, jest, test } from '@jest/globals'
import { createBalances } from '../../../domain/ledger/balances.ts'
import type { AccountRow } from '../../../domain/ledger/ledger.sql.ts'
import type { Database } from '../../../infra/postgres/database.ts'
import type { Listener } from '../../../infra/postgres/listener.ts'
import { DomainError } from '../../../domain/errors.ts'
import { deferred, refusalOf, rejectedBy, settled } from '../fixtures.ts'

const usd = (amount: number): bigint => BigInt(Math.round(amount * 1e9))
const account = (balance: number, held = 0): AccountRow => ({
  user_id: 'user_1',
  balance_nanos: usd(balance),
  held_nanos: usd(held),
})

/** A database that holds one account, and notifications at a call. */
function ledgerOf(row: AccountRow | undefined) {
  const state = { row, reads: 0, gate: Promise.resolve() }
  const handlers = new Map<string, (payload: string) => void>()
  const gaps: (() => void)[] = []
  const db = {
    query: async () => {
      state.reads += 1
      const rows = state.row === undefined ? [] : [state.row]
      await state.gate
      return { rows, rowCount: rows.length }
    },
  } as unknown as Database
  const listener: Listener = {
    on: (channel, handler) => void handlers.set(channel, handler),
    onGap: handler => void gaps.push(handler),
    close: () => Promise.resolve(),
  }
  return {
    state,
    balances: createBalances({ db, listener }),
    notify: (userId: string) => handlers.get('ipop_accounts')?.(userId),
    gap: () => gaps.forEach(handle => handle()),
  }
}

const refused = (work: Promise<unknown>) => rejectedBy(DomainError, work)

describe('admission', () => {
  test.each<[string, AccountRow, number]>([
    ['exactly the balance', account(1), 1],
    ['what is not held for jobs', account(3, 1), 2],
    ['nothing, with credit', account(0.000000001), 0],
  ])('takes %s', async (_what, row, amount) => {
    await expect(ledgerOf(row).balances.reserve('user_1', usd(amount))).resolves.toBeDefined()
  })

  test.each<[string, AccountRow, number, RegExp]>([
    ['a nano too much', account(1), 1.000000001, /may cost up to 1\.000000001 USD and 1\.00 USD are free/],
    ['what is held for jobs', account(3, 1), 2.5, /up to 2\.50 USD and 2\.00 USD are free.*max_completion_tokens/],
    ['an empty account, for nothing even', account(0), 0, /no credit left/],
    ['an overdrawn account', account(-0.5), 0.1, /no credit left/],
    ['an account that is all held', account(2, 2), 0.1, /no credit left/],
  ])('refuses %s with a 402', async (_what, row, amount, text) => {
    const error = await refused(ledgerOf(row).balances.reserve('user_1', usd(amount)))
    expect(refusalOf(error)).toMatchObject({ status: 402, code: 'payment_required', type: 'insufficient_credit' })
    expect(error.message).toMatch(/^payment_required: /)
    expect(error.message).toMatch(text)
  })

  test('an unknown user is a 404', async () => {
    expect((await refused(ledgerOf(undefined).balances.reserve('user_1', 1n))).status).toBe(404)
  })
})

describe('reservations', () => {
  test('count against each other until they are released, once each', async () => {
    const { balances } = ledgerOf(account(1))
    const first = await balances.reserve('user_1', usd(0.6))
    const error = await refused(balances.reserve('user_1', usd(0.6)))
    expect(error.message).toContain('up to 0.60 USD and 0.40 USD are free')
    first.release()
    first.release()
    const second = await balances.reserve('user_1', usd(0.6))
    await refused(balances.reserve('user_1', usd(0.6)))
    second.release()
    await expect(balances.reserve('user_1', usd(1))).resolves.toBeDefined()
  })

  test('of calls that wait for the same read never exceed the balance together', async () => {
    const ledger = ledgerOf(account(1))
    const reading = deferred<void>()
    ledger.state.gate = reading.promise
    const outcomes = Promise.allSettled(Array.from({ length: 10 }, () => ledger.balances.reserve('user_1', usd(0.3))))
    reading.resolve()
    expect((await outcomes).filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
  })

  test('survive a refresh: free is the new balance less what is under way', async () => {
    const { balances } = ledgerOf(account(1))
    await balances.reserve('user_1', usd(0.6))
    balances.refresh([account(2)])
    await refused(balances.reserve('user_1', usd(1.5)))
    await expect(balances.reserve('user_1', usd(1.4))).resolves.toBeDefined()
  })

  test('below zero together are told that nothing is free', async () => {
    const { balances } = ledgerOf(account(1))
    await balances.reserve('user_1', usd(0.9))
    balances.refresh([account(0.5)])
    expect((await refused(balances.reserve('user_1', 1n))).message).toContain('and 0.00 USD are free')
  })
})

describe('staleness', () => {
  test('a balance is read once within a second, and again after it', async () => {
    const clock = jest.spyOn(Date, 'now').mockReturnValue(1_000_000)
    try {
      const { balances, state } = ledgerOf(account(1))
      await balances.reserve('user_1', 1n)
      clock.mockReturnValue(1_000_999)
      await balances.reserve('user_1', 1n)
      expect(state.reads).toBe(1)
      clock.mockReturnValue(1_001_000)
      await balances.reserve('user_1', 1n)
      expect(state.reads).toBe(2)
    } finally {
      clock.mockRestore()
    }
  })

  test.each<[string, (ledger: ReturnType<typeof ledgerOf>) => void, number]>([
    ['a notification of the account', ledger => ledger.notify('user_1'), 2],
    ['a notification of another account', ledger => ledger.notify('user_2'), 1],
    ['a gap in the notifications', ledger => ledger.gap(), 2],
    ['the refresh of another account', ledger => ledger.balances.refresh([{ ...account(9), user_id: 'user_2' }]), 1],
  ])('after %s the reads are as expected', async (_what, happen, reads) => {
    const ledger = ledgerOf(account(1))
    await ledger.balances.reserve('user_1', 1n)
    happen(ledger)
    await settled()
    await ledger.balances.reserve('user_1', 1n)
    expect(ledger.state.reads).toBe(reads)
  })

  test('a commit refreshes the balance without a read', async () => {
    const { balances, state } = ledgerOf(account(1))
    await balances.reserve('user_1', 1n)
    balances.refresh([account(5)])
    await balances.reserve('user_1', usd(4))
    expect(state.reads).toBe(1)
  })
})
