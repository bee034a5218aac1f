import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from '@jest/globals'
import { addCredit } from '../../../domain/money/ledger/ledger.service.ts'
import { verifyLedger } from '../../../domain/money/verify/verify.ts'
import type { Nanos } from '../../../domain/money/ledger/money.rules.ts'
import type { Database } from '../../../infra/postgres/database.ts'
import { spawnApi } from '../../support/api-process.ts'
import { declareLost, leasedNanos } from '../../support/balance-processes.ts'
import { booksOf } from '../../support/books.ts'
import { CHAT, chatOf, worstCaseOf } from '../../support/chats.ts'
import { apiClient } from '../../support/client.ts'
import { testDatabase } from '../../support/database.ts'
import { releaseCalls, waitForCalls } from '../../support/fake-upstream.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
/** What an output token of test/dear costs. */
const NANOS_PER_TOKEN = 1_000_000n
const COST_TOKENS = 200
const COST: Nanos = BigInt(COST_TOKENS) * NANOS_PER_TOKEN
const LIMIT = { model: 'test/dear', max_completion_tokens: 100 }
const callOf = (delayMs: number, id?: string) =>
  chatOf(
    {
      ...(id !== undefined && { id }),
      delayMs,
      usage: { prompt_tokens: 0, completion_tokens: COST_TOKENS },
      reply: 'x'.repeat(200),
    },
    LIMIT,
  )

/** The process that has leased some of the tenant's credit. */
const holderOf = (database: Database, { userId }: Tenant): Promise<string> =>
  until(async () => {
    const text = 'SELECT process_id FROM account_leases WHERE user_id = $1'
    const { rows } = await database.query<{ process_id: string }>(text, [userId])
    return rows[0]?.process_id
  })

test('processes behind one port admit no more than the balance covers, of twenty at once', async () => {
  const api = await spawnApi({ API_PROCESSES: '4' })
  try {
    const tenant = await newTenant(db, { creditUsd: '0.001' })
    const { userId, secret } = tenant
    const worst = await worstCaseOf(tenant, callOf(300))
    const credit = (worst * 3n) / 2n
    await addCredit({ db }, userId, credit - 1_000_000n, 'test')
    const ask = async (): Promise<number> => {
      const headers = { 'x-api-key': secret, 'content-type': 'application/json', connection: 'close' }
      const body = JSON.stringify(callOf(300))
      const { status } = await fetch(`${api.url}/v1${CHAT}`, { method: 'POST', headers, body })
      // A loaded machine's database may be too slow for all at once: asked to come again, a client does.
      return status === 503 ? ask() : status
    }
    const statuses = await Promise.all(Array.from({ length: 20 }, ask))
    const admitted = statuses.filter(status => status === 200).length
    expect(admitted).toBeGreaterThanOrEqual(1)
    // What is counted may be less than the worst case by bytes, but not by more than the tokens of a text.
    expect(admitted).toBeLessThan(8)
    expect(statuses.filter(status => status === 402)).toHaveLength(20 - admitted)
    const { balanceNanos, charges } = await booksOf(db, { userId })
    const spent = BigInt(admitted) * COST
    expect({ balanceNanos, charges: charges.length }).toEqual({ balanceNanos: credit - spent, charges: admitted })
    expect(balanceNanos).toBeGreaterThanOrEqual(0n)
  } finally {
    await api.stop()
  }
})

test('a process that slept beyond its lease charges what it had under way, and admits nothing more of it', async () => {
  const api = await spawnApi({ PROCESS_LOST_SECONDS: '4' })
  try {
    const tenant = await newTenant(db, { creditUsd: '2' })
    const asleep = apiClient(tenant.secret, api.url)
    const underWay = asleep.post(CHAT, callOf(2_500, tenant.keyId))
    // Admitted: before that, its process would be asleep without a lease.
    await waitForCalls(testStack().upstreamUrl, tenant.keyId, 1)
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
    expect(spent).toBe(2_000_000_000n - BigInt(paid) * COST)
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

describe('a process that is killed', () => {
  const words = Array.from({ length: 400 }, (_, index) => `word${index}`).join(' ')

  /** A stream that goes on, at a process of its own, until the others know how far it is; then the process is killed. */
  async function killedInStream(path: string, bodyOf: (chat: ReturnType<typeof chatOf>) => object) {
    const own = await spawnApi()
    const tenant = await newTenant(db, { creditUsd: '10' })
    const chat = chatOf({ id: tenant.keyId, reply: words, chunkDelayMs: 20 }, { model: 'test/dear', stream: true })
    const reply = await apiClient(tenant.secret, own.url).open(path, bodyOf(chat))
    let text = ''
    const reading = (async () => {
      for await (const part of reply.body ?? []) text += Buffer.from(part).toString()
    })().catch(() => undefined)
    const holder = await holderOf(db, tenant)
    const told = await until(async () => {
      const { rows } = await db.query<{ call: { tokens_out: number } }>(
        'SELECT call FROM open_calls WHERE user_id = $1',
        [tenant.userId],
      )
      return rows[0] !== undefined && rows[0].call.tokens_out > 20 && rows[0].call.tokens_out
    })
    process.kill(own.pid, 'SIGKILL')
    await reading
    await own.stop()
    return { tenant, holder, told, text }
  }

  test.each([
    ['a chat', CHAT, (chat: object) => chat],
    ['a response', '/responses', ({ model, messages }: any) => ({ model, input: messages, stream: true })],
  ])('in %s: what was delivered is recorded and charged, once', async (_what, path, bodyOf) => {
    const { tenant, holder, told, text } = await killedInStream(path, bodyOf)
    expect(text).not.toContain('[DONE]')
    expect((await booksOf(db, tenant)).calls).toEqual([])

    await Promise.all([declareLost(db, holder), declareLost(db, holder)])
    const { calls, charges, balanceNanos, entriesNanos, hourly } = await booksOf(db, tenant)
    expect(calls).toMatchObject([
      { status: 'failed', error_code: 'process_lost', streamed: true, usage_source: 'counted', upstream: 'fake-a' },
    ])
    const [{ tokens_in: tokensIn, tokens_out: tokensOut, cost_nanos: cost }] = calls as [(typeof calls)[0]]
    const delivered = text.match(/word\d+/g)?.length ?? 0
    expect(tokensOut).toBeGreaterThanOrEqual(told)
    // A word and its number are two tokens; the estimate is below what they are, and above half of it.
    expect(tokensOut).toBeLessThanOrEqual(2 * delivered + 2)
    expect(tokensIn).toBeGreaterThan(0)
    expect(cost).toBe(BigInt(tokensIn + tokensOut) * NANOS_PER_TOKEN)
    expect(charges).toEqual([{ reference: calls[0]?.id, amount_nanos: -cost }])
    expect(balanceNanos).toBe(10_000_000_000n - cost)
    expect(balanceNanos).toBe(entriesNanos)
    expect(hourly).toMatchObject({ requests: 1n, cost_nanos: cost })
    expect(await leasedNanos(db, tenant.userId)).toBe(0n)

    const history = await tenant.api.get(`/request-history/${calls[0]?.id}`)
    expect(history).toMatchObject({ status: 200, body: { status: 'failed' } })
    expect((await verifyLedger({ db })).checks.find(({ name }) => name === 'charges')?.ok).toBe(true)
  })

  test('under a call that gave nothing yet: it is recorded, and costs nothing', async () => {
    const own = await spawnApi()
    const tenant = await newTenant(db)
    const lost = apiClient(tenant.secret, own.url)
      .post(CHAT, chatOf({ delayMs: 60_000 }))
      .catch(() => 'lost')
    const holder = await holderOf(db, tenant)
    await until(async () => {
      const text = 'SELECT FROM open_calls WHERE user_id = $1'
      return (await db.query(text, [tenant.userId])).rowCount === 1
    })
    process.kill(own.pid, 'SIGKILL')
    expect(await lost).toBe('lost')
    await own.stop()
    await declareLost(db, holder)
    const { calls, charges } = await booksOf(db, tenant)
    expect(calls).toMatchObject([
      { status: 'failed', error_code: 'process_lost', cost_nanos: 0n, usage_source: 'none' },
    ])
    expect(charges).toEqual([])
  })
})

test('a call that ended is forgotten, and one whose process was wrongly declared lost is charged once', async () => {
  const own = await spawnApi()
  try {
    const tenant = await newTenant(db)
    const reply = await apiClient(tenant.secret, own.url).open(
      CHAT,
      chatOf({ id: tenant.keyId, reply: 'one two three four five six', heldAfterChunks: 3 }, { stream: true }),
    )
    const holder = await holderOf(db, tenant)
    const saysOrigin = async () =>
      (await db.query('SELECT FROM open_calls WHERE user_id = $1', [tenant.userId])).rowCount === 1
    await until(saysOrigin)
    await declareLost(db, holder)
    const before = await booksOf(db, tenant)
    expect(before.calls).toMatchObject([{ error_code: 'process_lost' }])
    await releaseCalls(testStack().upstreamUrl, tenant.keyId)
    expect(await reply.text()).toMatch(/data: \[DONE\]\n\n$/)
    await until(async () => !(await saysOrigin()))
    expect(await booksOf(db, tenant)).toEqual(before)
  } finally {
    await own.stop()
  }
})
