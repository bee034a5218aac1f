import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { addCredit } from '../../domain/ledger/ledger.service.ts'
import type { Nanos } from '../../domain/ledger/money.rules.ts'
import type { Database } from '../../infra/postgres/database.ts'
import { spawnApi } from '../support/api-process.ts'
import { declareLost } from '../support/balance-processes.ts'
import { booksOf } from '../support/books.ts'
import { CHAT, chatOf, worstCaseOf } from '../support/chats.ts'
import { apiClient } from '../support/client.ts'
import { testDatabase } from '../support/database.ts'
import { newTenant, type Tenant } from '../support/tenants.ts'
import { until } from '../support/until.ts'

const db = testDatabase()
/** What an output token of test/dear costs. */
const NANOS_PER_TOKEN = 1_000_000n
const COST_TOKENS = 200
const COST: Nanos = BigInt(COST_TOKENS) * NANOS_PER_TOKEN
const LIMIT = { model: 'test/dear', max_completion_tokens: 100 }
const callOf = (delayMs: number) =>
  chatOf({ delayMs, usage: { prompt_tokens: 0, completion_tokens: COST_TOKENS }, reply: 'x'.repeat(200) }, LIMIT)

/** The process that has leased some of the tenant's credit. */
const holderOf = (database: Database, { userId }: Tenant): Promise<string> =>
  until(async () => {
    const text = 'SELECT process_id FROM account_leases WHERE user_id = $1'
    const { rows } = await database.query<{ process_id: string }>(text, [userId])
    return rows[0]?.process_id
  })

test('processes behind one port admit the one call that the balance covers, of twenty at once', async () => {
  const api = await spawnApi({ API_PROCESSES: '4' })
  try {
    const tenant = await newTenant(db, { creditUsd: '0.001' })
    const { userId, secret } = tenant
    const worst = await worstCaseOf(tenant, callOf(300))
    const credit = (worst * 3n) / 2n
    await addCredit({ db }, userId, credit - 1_000_000n, 'test')
    const ask = async () => {
      const headers = { 'x-api-key': secret, 'content-type': 'application/json', connection: 'close' }
      const body = JSON.stringify(callOf(300))
      return (await fetch(`${api.url}/v1${CHAT}`, { method: 'POST', headers, body })).status
    }
    const statuses = await Promise.all(Array.from({ length: 20 }, ask))
    expect(statuses.filter(status => status === 200)).toHaveLength(1)
    expect(statuses.filter(status => status === 402)).toHaveLength(19)
    const { balanceNanos, charges } = await booksOf(db, { userId })
    expect({ balanceNanos, charges: charges.length }).toEqual({ balanceNanos: credit - COST, charges: 1 })
  } finally {
    await api.stop()
  }
})

test('a process that slept beyond its lease charges what it had under way, and admits nothing more of it', async () => {
  const api = await spawnApi({ PROCESS_LOST_SECONDS: '4' })
  try {
    const tenant = await newTenant(db, { creditUsd: '1' })
    const asleep = apiClient(tenant.secret, api.url)
    const underWay = asleep.post(CHAT, callOf(1_000))
    const holder = await holderOf(db, tenant)

    process.kill(api.pid, 'SIGSTOP')
    const sleptAtMs = performance.now()
    await declareLost(db, holder)
    // Reach the process before it can know that it was lost.
    const waiting = Array.from({ length: 5 }, () => asleep.post(CHAT, callOf(0)))
    let paid = 0
    while ((await tenant.api.post(CHAT, callOf(0))).status === 200) paid += 1
    expect(paid).toBeGreaterThan(1)
    const spent = (await booksOf(db, tenant)).balanceNanos
    expect(spent).toBe(1_000_000_000n - BigInt(paid) * COST)
    await delay(Math.max(0, sleptAtMs + 2_500 - performance.now()))

    process.kill(api.pid, 'SIGCONT')
    expect((await underWay).status).toBe(200)
    expect((await Promise.all(waiting)).map(reply => reply.status)).toEqual(Array(5).fill(402))
    expect((await asleep.post(CHAT, callOf(0))).status).toBe(402)
    const { balanceNanos, entriesNanos, charges } = await booksOf(db, tenant)
    expect(charges).toHaveLength(paid + 1)
    expect(balanceNanos).toBe(spent - COST)
    expect(balanceNanos).toBe(entriesNanos)
    // What was leased to the one process that outlived its lease.
    expect(balanceNanos).toBeGreaterThanOrEqual(-COST)
  } finally {
    process.kill(api.pid, 'SIGCONT')
    await api.stop()
  }
})
