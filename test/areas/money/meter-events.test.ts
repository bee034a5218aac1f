import { describe, expect, test } from '@jest/globals'
import type { MeterEventSummary } from '../../../domain/money/meters/meter.schema.ts'
import { callAt, insertPastCalls } from '../../support/calls.ts'
import { CHAT, chatOf } from '../../support/chats.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { newTenant } from '../../support/tenants.ts'

const db = testDatabase()
const METERS = '/account/meter-events'
const HOUR_MS = 3_600_000
const HOUR = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 24 * HOUR_MS

/** Two calls in one hour and two in another, one of them free. */
async function metered() {
  const tenant = await newTenant(db)
  const at = (minutes: number) => new Date(HOUR + minutes * 60_000)
  const calls = [
    callAt(tenant, at(5), { usage: { input: 1, output: 0 }, costNanos: 10n }),
    callAt(tenant, at(50), { usage: { input: 2, output: 2 }, costNanos: 20n, surface: 'batch', model: 'Test/Large' }),
    callAt(tenant, at(65), { usage: { input: 8, output: 8 }, costNanos: 0n }),
    callAt(tenant, at(110), { usage: { input: 32, output: 32 }, costNanos: 40n }),
  ]
  await insertPastCalls(db, calls)
  const summary = async (query = '') => (await tenant.api.get<MeterEventSummary>(`${METERS}${query}`)).body
  return { tenant, calls, at, summary }
}

describe('meter events', () => {
  test('of a real call are its tokens and its charge', async () => {
    const { api } = await newTenant(db)
    const { body, headers } = await api.post(CHAT, chatOf({ reply: 'x' }))
    const { body: summary } = await api.get<MeterEventSummary>(METERS)
    const quantities = {
      quantity: body.usage.total_tokens,
      free_quantity: 0,
      billable_quantity: body.usage.total_tokens,
      cost_usd: body.ipop.cost_usd,
    }
    const meter = { service: 'inference', meter: 'chat_tokens' }
    expect(summary).toEqual({
      object: 'meter_events.summary',
      total_events: 1,
      total_quantity: quantities.quantity,
      total_free_quantity: 0,
      total_billable_quantity: quantities.quantity,
      total_cost_usd: quantities.cost_usd,
      meters: [{ ...meter, event_count: 1, ...quantities }],
      records: [{ id: headers.get('x-request-id'), ...meter, ...quantities, created_at: expect.stringMatching(/Z$/) }],
    })
  })

  test('are totalled over the whole filter, whatever the page', async () => {
    const { calls, at, summary, tenant } = await metered()
    const nanos = (usd: number) => Math.round(usd * 1e9)
    const totals = async (query = '') => {
      const {
        total_events: events,
        total_quantity,
        total_free_quantity,
        total_cost_usd,
        records,
      } = await summary(query)
      const ids = records.map(record => calls.findIndex(call => call.id === record.id))
      return { events, quantity: total_quantity, free: total_free_quantity, nanos: nanos(total_cost_usd), ids }
    }
    const all = { events: 4, quantity: 85, free: 16, nanos: 70 }
    expect(await totals()).toEqual({ ...all, ids: [3, 2, 1, 0] })
    expect(await totals('?limit=1')).toEqual({ ...all, ids: [3] })
    expect(await totals('?service=inference&search=TEST')).toEqual({ ...all, ids: [3, 2, 1, 0] })
    expect(await totals('?search=large')).toEqual({ events: 1, quantity: 4, free: 0, nanos: 20, ids: [1] })
    expect(await totals('?meter=batch_tokens')).toEqual({ events: 1, quantity: 4, free: 0, nanos: 20, ids: [1] })
    expect(await totals('?service=storage')).toEqual({ events: 0, quantity: 0, free: 0, nanos: 0, ids: [] })
    const window = `?created_at_from=${at(50).toISOString()}&created_at_to=${at(110).toISOString()}`
    expect(await totals(window)).toEqual({ events: 2, quantity: 20, free: 16, nanos: 20, ids: [2, 1] })
    const page = await tenant.api.get(`${METERS}?limit=3`)
    expect(await totals(`?limit=3&cursor=${page.headers.get('x-next-cursor')}`)).toEqual({ ...all, ids: [0] })
    expect((await summary()).meters.map(meter => [meter.meter, meter.event_count, meter.billable_quantity])).toEqual([
      ['batch_tokens', 1, 4],
      ['chat_tokens', 3, 65],
    ])
  })

  test('are exported, all of them or as many as asked, as JSON and as CSV', async () => {
    const { calls, summary, tenant } = await metered()
    const exported = await tenant.api.get<MeterEventSummary>(`${METERS}/export`)
    expect(exported.body).toEqual(await summary())
    expect((await tenant.api.get(`${METERS}/export?limit=2`)).body.records).toHaveLength(2)
    const csv = await tenant.api.get(`${METERS}/export?meter=batch_tokens`, { accept: 'text/csv' })
    const time = calls[1]?.createdAt.toISOString()
    expect(csv.text.trimEnd().split('\n')).toEqual([
      'id,service,meter,quantity,free_quantity,billable_quantity,cost_usd,created_at',
      `${calls[1]?.id},inference,batch_tokens,4,0,4,2e-8,${time}`,
    ])
  })

  test('are nobody else’s', async () => {
    await metered()
    const { api } = await newTenant(db)
    expect((await api.get(METERS)).body).toMatchObject({ total_events: 0, meters: [], records: [] })
  })

  test.each(['cursor=x', 'limit=501', 'created_at_from=x'])('refuse ?%s by name', async query => {
    const { api } = await newTenant(db)
    for (const path of [METERS, `${METERS}/export`]) {
      expectError(await api.get(`${path}?${query}`), 400, { param: query.split('=')[0] ?? '' })
    }
  })
})
