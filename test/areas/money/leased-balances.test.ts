import { describe, expect, test } from '@jest/globals'
import { DomainError } from '../../../domain/core/errors.ts'
import type { Reservation } from '../../../domain/money/leases/balances.ts'
import { recallLeases } from '../../../domain/money/leases/leases.ts'
import { addCredit } from '../../../domain/money/ledger/ledger.service.ts'
import { createUser } from '../../../domain/tenancy/accounts/account.service.ts'
import { declareLost, leasedNanos, useBalanceProcesses, type BalanceProcess } from '../../support/balance-processes.ts'
import { expectError } from '../../support/errors.ts'
import { testDatabase } from '../../support/database.ts'
import { chatOf } from '../../support/chats.ts'
import { newTenant } from '../../support/tenants.ts'
import { HANGS_AFTER_MS, until } from '../../support/until.ts'
import { rejectedBy, refusalOf } from '../../unit/fixtures.ts'

const db = testDatabase()
const processes = useBalanceProcesses(db)
const USD = 1_000_000_000n

async function userWith(nanos: bigint): Promise<string> {
  const { id } = await createUser({ db }, 'test')
  if (nanos !== 0n) await addCredit({ db }, id, nanos, 'test')
  return id
}

const single = async (): Promise<BalanceProcess> => (await processes(1))[0] as BalanceProcess
const pair = async () => (await processes(2)) as [BalanceProcess, BalanceProcess]
const refused = (work: Promise<unknown>) => rejectedBy(DomainError, work)

/** A call that was recorded: charged, then settled, as the recorder does. */
async function charge(userId: string, reservation: Reservation, nanos: bigint): Promise<void> {
  await addCredit({ db }, userId, -nanos, 'a call')
  reservation.settle(nanos)
}

/** That many calls at once, shared out over the processes; how many were admitted. */
async function admitted(apis: BalanceProcess[], userId: string, calls: number, nanos: bigint): Promise<number> {
  const outcomes = await Promise.allSettled(
    Array.from({ length: calls }, async (_, call) => apis[call % apis.length]?.balances.reserve(userId, nanos)),
  )
  const failures = outcomes.flatMap(outcome => (outcome.status === 'rejected' ? [outcome.reason as DomainError] : []))
  expect(failures.filter(({ status }) => status !== 402)).toEqual([])
  return calls - failures.length
}

describe('one process', () => {
  test.each([
    ['exactly the balance', USD, USD],
    ['nothing, with credit', 1n, 0n],
  ])('admits %s', async (_what, balance, worst) => {
    const { balances } = await single()
    await expect(balances.reserve(await userWith(balance), worst)).resolves.toBeDefined()
  })

  test.each([
    ['a nano too much', USD, USD + 1n, /may cost up to 1\.000000001 USD and 1\.00 USD are free.*max_completion_tokens/],
    ['an empty account, for nothing even', 0n, 0n, /no credit left/],
    ['an overdrawn account', -USD, 1n, /no credit left/],
  ])('refuses %s with a 402, and again at once', async (_what, balance, worst, text) => {
    const { balances } = await single()
    const userId = await userWith(balance)
    for (let again = 0; again < 2; again += 1) {
      const error = await refused(balances.reserve(userId, worst))
      expect(refusalOf(error)).toMatchObject({ status: 402, code: 'payment_required', type: 'insufficient_credit' })
      expect(error.message).toMatch(text)
    }
  })

  test('an unknown user is a 404', async () => {
    expect((await refused((await single()).balances.reserve('user_unknown', 1n))).status).toBe(404)
  })

  test('admits as many at once as there is credit for, and spends all of it', async () => {
    const api = await single()
    const userId = await userWith(10n * USD + USD / 2n)
    expect(await admitted([api], userId, 20, USD)).toBe(10)
    await expect(api.balances.reserve(userId, USD / 2n)).resolves.toBeDefined()
    await refused(api.balances.reserve(userId, 1n))
    expect(await leasedNanos(db, userId)).toBe(10n * USD + USD / 2n)
  })

  test('what a call did not cost is free for the next, at once', async () => {
    const { balances } = await single()
    const userId = await userWith(USD)
    const first = await balances.reserve(userId, USD)
    expect((await refused(balances.reserve(userId, 1n))).message).toContain('and 0.00 USD are free')
    await charge(userId, first, USD / 4n)
    first.settle(USD)
    const second = await balances.reserve(userId, USD - USD / 4n)
    await refused(balances.reserve(userId, 1n))
    second.settle(0n)
    await expect(balances.reserve(userId, USD - USD / 4n)).resolves.toBeDefined()
  })

  test('credit that is added counts at once', async () => {
    const { balances } = await single()
    const userId = await userWith(USD)
    await refused(balances.reserve(userId, 2n * USD))
    await addCredit({ db }, userId, USD, 'test')
    expect(await until(() => balances.reserve(userId, 2n * USD).catch(() => undefined))).toBeDefined()
  })

  test('what it does not use goes back within seconds, and what calls cost is told', async () => {
    const { balances } = await single()
    const userId = await userWith(100n * USD)
    const open = await balances.reserve(userId, USD)
    const done = await balances.reserve(userId, USD)
    await charge(userId, done, USD / 2n)
    expect(await leasedNanos(db, userId)).toBeGreaterThan(2n * USD)
    await until(async () => (await leasedNanos(db, userId)) === USD)
    open.settle(0n)
    await until(async () => (await leasedNanos(db, userId)) === 0n)
  })
})

describe('several processes', () => {
  test.each([2, 3, 5])('%d never admit more than there is credit for, and no less', async count => {
    const apis = await processes(count)
    const userId = await userWith(10n * USD + USD / 2n)
    expect(await admitted(apis, userId, 40, USD)).toBe(10)
    expect(await leasedNanos(db, userId)).toBeLessThanOrEqual(10n * USD + USD / 2n)
  })

  test('one is given what another does not use, to the last nano', async () => {
    const [first, second] = await pair()
    const userId = await userWith(4n * USD)
    await first.balances.reserve(userId, USD)
    expect(await leasedNanos(db, userId)).toBeGreaterThan(USD)
    await expect(second.balances.reserve(userId, 3n * USD)).resolves.toBeDefined()
    await refused(first.balances.reserve(userId, 1n))
    await refused(second.balances.reserve(userId, 1n))
  })

  test('who needs the credit of all is given it, also where all ask at once', async () => {
    const apis = await processes(3)
    const userId = await userWith(9n * USD)
    for (const { balances } of apis) (await balances.reserve(userId, USD)).settle(0n)
    expect(await admitted(apis, userId, 3, 9n * USD)).toBe(1)
  })

  test('a random walk of calls never has more under way and spent than there was', async () => {
    const apis = await processes(4)
    const credit = 30n * USD
    const userId = await userWith(credit)
    let [underWay, spent, most, calls] = [0n, 0n, 0n, 0]
    const walk = async ({ balances }: BalanceProcess, seed: number) => {
      let state = seed
      const next = (below: number) => (state = (state * 48_271) % 2_147_483_647) % below
      for (let step = 0; step < 40; step += 1) {
        const worst = (BigInt(1 + next(500)) * USD) / 100n
        const call = await balances.reserve(userId, worst).catch(() => undefined)
        if (call === undefined) continue
        underWay += worst
        most = underWay + spent > most ? underWay + spent : most
        const cost = (worst * BigInt(1 + next(20))) / 100n
        await charge(userId, call, cost)
        calls += 1
        underWay -= worst
        spent += cost
      }
    }
    await Promise.all(apis.map((api, index) => walk(api, 17 + index)))
    expect(calls).toBeGreaterThan(50)
    expect(most).toBeGreaterThan(credit / 2n)
    expect(most).toBeLessThanOrEqual(credit)
    await until(async () => (await leasedNanos(db, userId)) === 0n)
  })
})

describe('a process that is lost', () => {
  test('leaves what it had leased to the others', async () => {
    const [first, second] = await pair()
    const userId = await userWith(2n * USD)
    await first.balances.reserve(userId, 2n * USD)
    await refused(second.balances.reserve(userId, 1n))
    await declareLost(db, first.heartbeat.id)
    expect(await leasedNanos(db, userId)).toBe(0n)
    await expect(second.balances.reserve(userId, 2n * USD)).resolves.toBeDefined()
  })

  test('and lives on has nothing any more, under a new name', async () => {
    const [first, second] = await pair()
    const userId = await userWith(10n * USD)
    await first.balances.reserve(userId, USD)
    const name = first.heartbeat.id
    await declareLost(db, name)
    await first.heartbeat.beat()
    expect(first.heartbeat.id).not.toBe(name)
    await second.balances.reserve(userId, 10n * USD)
    await refused(first.balances.reserve(userId, 1n))
  })

  test('finds out when it asks for more', async () => {
    const { balances, heartbeat } = await single()
    const userId = await userWith(10n * USD)
    const name = heartbeat.id
    await declareLost(db, name)
    await expect(balances.reserve(userId, 10n * USD)).resolves.toBeDefined()
    expect(heartbeat.id).not.toBe(name)
    expect(await leasedNanos(db, userId)).toBe(10n * USD)
  })
})

describe('jobs', () => {
  const turnOf = (tokens: number) => ({ ...chatOf({}), model: 'test/dear', max_completion_tokens: tokens })

  test('are given what a process has leased and does not use', async () => {
    const { balances } = await single()
    const { api, userId } = await newTenant(db, { creditUsd: '10' })
    ;(await balances.reserve(userId, (99n * USD) / 10n)).settle(0n)
    expect(await leasedNanos(db, userId)).toBeGreaterThan(9n * USD)
    expect((await api.post('/agent-turns', turnOf(1_000))).status).toBe(200)
  })

  test('are not given what calls under way may cost', async () => {
    const { balances } = await single()
    const { api, userId } = await newTenant(db, { creditUsd: '10' })
    await balances.reserve(userId, (99n * USD) / 10n)
    const reply = await api.post('/agent-turns', turnOf(1_000))
    expect(expectError(reply, 402).message).toContain('0.10 USD are free')
  })

  test('a process that does not answer is not waited for', async () => {
    const [first] = await processes(1, { lostAfterMs: 3_600_000 })
    const userId = await userWith(USD)
    await first?.balances.reserve(userId, USD)
    await db.query(`INSERT INTO api_processes (id) VALUES ($1)`, [userId])
    await db.query(`INSERT INTO account_leases (user_id, process_id, nanos, number) VALUES ($1, $1, 1, 1)`, [userId])
    const beganAtMs = performance.now()
    await recallLeases(db, userId)
    expect(performance.now() - beganAtMs).toBeLessThan(HANGS_AFTER_MS)
    await db.query('DELETE FROM account_leases WHERE process_id = $1', [userId])
    await db.query('DELETE FROM api_processes WHERE id = $1', [userId])
  })
})
