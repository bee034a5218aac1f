import { describe, expect, test } from '@jest/globals'
import type { CallRecord } from '../../../domain/inference/calls/call.rules.ts'
import { insertCalls } from '../../../domain/inference/calls/call.sql.ts'
import { prefixedId } from '../../../domain/core/ids.ts'
import { booksOf, type Books } from '../../support/books.ts'
import { callAt, insertPastCalls } from '../../support/calls.ts'
import { testDatabase } from '../../support/database.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'

const db = testDatabase()

/** Calls with fields null and set, paid for and free, of now and of the hour before. */
const directCalls = (tenant: Tenant): CallRecord[] => [
  callAt(tenant, new Date()),
  callAt(tenant, new Date(Date.now() - 3_600_000), {
    status: 'failed',
    errorCode: 'service_unavailable',
    upstream: null,
    upstreamModel: null,
    usage: { input: 0, output: 0 },
    costNanos: 0n,
  }),
  callAt(tenant, new Date(Date.now() - 1_000), {
    streamed: true,
    usage: { input: 7, output: 9, cached: 3, reasoning: 2 },
    usageSource: 'counted',
    costNanos: 9_007_199_254n,
    requestedModel: 'alias',
    metadata: { label: "it's ä \"label\" \\ with 'quotes'" },
    fallbackCount: 1,
    firstTokenMs: 4,
    cacheHit: true,
  }),
]

/** All that differs between two accounts with the same calls is their ids. */
const withoutIds = ({ calls, charges, ...sums }: Books) => ({
  ...sums,
  calls: calls.map(call => ({
    ...call,
    id: undefined,
    user_id: undefined,
    project_id: undefined,
    api_key_id: undefined,
    resource_id: undefined,
    created_at: undefined,
  })),
  charges: charges.map(charge => charge.amount_nanos),
})

describe('a group of calls', () => {
  test('is recorded and charged once, however often it is sent', async () => {
    const [tenant, other] = [await newTenant(db), await newTenant(db)]
    const calls = [...directCalls(tenant), ...directCalls(other)]
    const before = await booksOf(db, tenant)
    const { accounts } = await insertCalls(db, calls)
    const books = await booksOf(db, tenant)
    expect(books.calls).toHaveLength(3)
    expect(books.charges).toHaveLength(2)
    expect(books.hourly).toMatchObject({ requests: 3n, tokens_in: 17n, tokens_out: 14n, cost_nanos: 9_007_200_254n })
    expect(before.balanceNanos - books.balanceNanos).toBe(9_007_200_254n)
    expect(books.entriesNanos).toBe(books.balanceNanos)
    expect(accounts.map(account => account.user_id).toSorted()).toEqual([tenant.userId, other.userId].toSorted())
    await insertCalls(db, calls)
    await insertCalls(db, calls.slice(0, 2))
    expect(await booksOf(db, tenant)).toEqual(books)
    expect(withoutIds(await booksOf(db, other))).toEqual(withoutIds(books))
  })

  test('is recorded where figures of tokens are as large as they can be', async () => {
    const tenant = await newTenant(db)
    const most = 2 ** 31 - 1
    const large = () => callAt(tenant, new Date(), { usage: { input: most, output: most }, costNanos: 0n })
    await insertCalls(db, [large(), large(), callAt(tenant, new Date())])
    const { calls, hourly } = await booksOf(db, tenant)
    expect(calls).toHaveLength(3)
    expect(hourly.requests).toBe(3n)
    const { rows } = await db.query<{ free: bigint }>(
      'SELECT sum(free_tokens)::bigint AS free FROM usage_hourly WHERE user_id = $1::text',
      [tenant.userId],
    )
    expect(rows).toEqual([{ free: 4n * BigInt(most) }])
  })

  test('is recorded the same where a call of a job is among it', async () => {
    const [tenant, other, working] = [await newTenant(db), await newTenant(db), await newTenant(db)]
    await insertCalls(db, directCalls(tenant))
    const ofJob = callAt(working, new Date(), { surface: 'batch' })
    await insertPastCalls(db, [...directCalls(other), { ...ofJob, resourceId: prefixedId('batch', ofJob.id) ?? '' }])
    expect(withoutIds(await booksOf(db, other))).toEqual(withoutIds(await booksOf(db, tenant)))
    expect(await booksOf(db, working)).toMatchObject({ calls: [{}], charges: [{ amount_nanos: -1_000n }] })
  })
})
