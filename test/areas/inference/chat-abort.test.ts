import { describe, expect, test } from '@jest/globals'
import { booksOf } from '../../support/books.ts'
import { CHAT, chatOf } from '../../support/chats.ts'
import { testDatabase } from '../../support/database.ts'
import { waitForAbort, waitForCalls, type FakeScript } from '../../support/fake-upstream.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
const { upstreamUrl } = testStack()
/** Ten times what is promised. */
const WITHIN_MS = 10_000

const open = ({ api, keyId }: Tenant, script: FakeScript, body: object, signal: AbortSignal) =>
  api.open(CHAT, chatOf({ ...script, id: keyId }, body), signal)

describe('a client that goes away', () => {
  /** The upstream call ends within the time; gives the record. */
  async function expectAbort(tenant: Tenant, leftAtMs: number) {
    const [call] = await waitForAbort(upstreamUrl, tenant.keyId)
    expect((call?.endedAt ?? Infinity) - leftAtMs).toBeLessThan(WITHIN_MS)
    await until(async () => (await booksOf(db, tenant)).calls.length > 0)
    const { calls, ...books } = await booksOf(db, tenant)
    expect(calls).toHaveLength(1)
    return { ...books, call: calls[0] }
  }

  test('ends the upstream call, and pays for what was produced', async () => {
    const tenant = await newTenant(db)
    const client = new AbortController()
    const reply = await open(tenant, { reply: 'one two three', hangAfterChunks: 3 }, { stream: true }, client.signal)
    let seen = ''
    for await (const part of reply.body ?? []) {
      seen += Buffer.from(part).toString()
      if (seen.includes('three')) break
    }
    client.abort()
    const { call, charges, balanceNanos, entriesNanos } = await expectAbort(tenant, Date.now())
    expect(call).toMatchObject({
      status: 'canceled',
      error_code: 'client_closed',
      usage_source: 'counted',
      streamed: true,
      tokens_out: 3,
    })
    expect(call?.tokens_in).toBeGreaterThan(0)
    expect(call?.cost_nanos).toBe(BigInt(call?.tokens_in ?? 0) * 1_000n + 3n * 2_000n)
    expect(charges).toEqual([{ reference: call?.id, amount_nanos: -(call?.cost_nanos ?? 0n) }])
    expect({ balanceNanos }).toEqual({ balanceNanos: entriesNanos })
  })

  test.each([true, false])('before anything came, with stream: %j, pays nothing', async isStream => {
    const tenant = await newTenant(db)
    const client = new AbortController()
    const left = open(tenant, { hang: true }, { stream: isStream }, client.signal).catch(() => 'left')
    await waitForCalls(upstreamUrl, tenant.keyId, 1)
    client.abort()
    const { call, charges } = await expectAbort(tenant, Date.now())
    expect(await left).toBe('left')
    expect(call).toMatchObject({
      status: 'canceled',
      error_code: 'client_closed',
      usage_source: 'none',
      cost_nanos: 0n,
    })
    expect(charges).toEqual([])
  })
})
