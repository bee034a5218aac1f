import { describe, expect, test } from '@jest/globals'
import type { UsageRecord, UsageSummary } from '../../../domain/money/usage/usage.schema.ts'
import { callAt, insertPastCalls } from '../../support/calls.ts'
import type { ApiReply } from '../../support/client.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { newKey, newTenant, type Tenant } from '../../support/tenants.ts'

const db = testDatabase()
const HOUR_MS = 3_600_000
/** A whole hour of yesterday. */
const HOUR = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 24 * HOUR_MS
const at = (hours: number, ms = 0) => new Date(HOUR + hours * HOUR_MS + ms)

/** Calls of 1, 2, 4, … nano-USD and tokens, so that a sum tells which of them are in it. */
async function pastCalls(tenant: Tenant, times: Date[]): Promise<void> {
  const calls = times.map((time, index) =>
    callAt(tenant, time, { costNanos: BigInt(2 ** index), usage: { input: 2 ** index, output: 2 ** index * 1_000 } }),
  )
  await insertPastCalls(db, calls)
}

const totalsOf = ({ body }: ApiReply<UsageSummary>) => ({
  requests: body.total_requests,
  tokensIn: body.total_tokens_in,
  tokensOut: body.total_tokens_out,
  nanos: Math.round(body.total_cost * 1e9),
})
const sumOf = (records: UsageRecord[]) => ({
  requests: records.length,
  tokensIn: records.reduce((sum, record) => sum + record.tokens_in, 0),
  tokensOut: records.reduce((sum, record) => sum + record.tokens_out, 0),
  nanos: records.reduce((sum, record) => sum + Math.round(record.cost * 1e9), 0),
})
const text = (from: Date | undefined, to: Date | undefined) =>
  new URLSearchParams({ ...(from && { from: from.toISOString() }), ...(to && { to: to.toISOString() }) }).toString()

describe('usage', () => {
  test('of a real call is what was charged', async () => {
    const { api } = await newTenant(db)
    const chat = await api.post('/chat/completions', {
      model: 'test/plain',
      messages: [{ role: 'user', content: 'one two three' }],
    })
    const { body } = await api.get<UsageSummary>('/usage')
    expect(body.records).toEqual([
      {
        request_id: chat.headers.get('x-request-id'),
        model: 'test/plain',
        tokens_in: chat.body.usage.prompt_tokens,
        tokens_out: chat.body.usage.completion_tokens,
        token_details: {
          cached_input_tokens: null,
          reasoning_tokens: null,
          total_tokens: chat.body.usage.total_tokens,
        },
        cost: chat.body.ipop.cost_usd,
        provider_billed: expect.any(Boolean),
        duration_ms: expect.any(Number),
        created_at: expect.stringMatching(/Z$/),
      },
    ])
    expect(body.records[0]?.cost).toBeGreaterThan(0)
  })

  test('lists the newest first, page by page, with the totals of all', async () => {
    const { api, ...tenant } = await newTenant(db)
    await pastCalls({ ...tenant, api }, [at(0), at(1), at(2), at(2, 1), at(5)])
    const seen: UsageRecord[] = []
    const pages: number[] = []
    for (let path: string | undefined = '/usage?limit=2'; path !== undefined;) {
      const reply: ApiReply<UsageSummary> = await api.get<UsageSummary>(path)
      expect(totalsOf(reply)).toEqual({ requests: 5, tokensIn: 31, tokensOut: 31_000, nanos: 31 })
      seen.push(...reply.body.records)
      pages.push(reply.body.records.length)
      path = nextPath(reply)
    }
    expect(pages).toEqual([2, 2, 1])
    expect(seen.map(record => record.tokens_in)).toEqual([16, 8, 4, 2, 1])
    expect(seen.map(record => record.created_at)).toEqual(
      [at(5), at(2, 1), at(2), at(1), at(0)].map(time => time.toISOString()),
    )
  })

  /** The next page, which both headers name. */
  function nextPath({ headers, body }: ApiReply<UsageSummary>): string | undefined {
    const [cursor, link] = [headers.get('x-next-cursor'), headers.get('link')]
    expect(link === null).toBe(cursor === null)
    if (cursor === null) return undefined
    expect(cursor).toBe(body.records.at(-1)?.request_id)
    const path = /^<\/v1(\/usage\?[^>]+)>; rel="next"$/.exec(link ?? '')?.[1]
    expect(new URLSearchParams(path?.split('?')[1])).toEqual(new URLSearchParams({ limit: '2', after: cursor }))
    return path
  }

  test.each<[string, Date | undefined, Date | undefined]>([
    ['everything', undefined, undefined],
    ['whole hours', at(0), at(3)],
    ['from within an hour', at(0, 1), undefined],
    ['to within an hour', undefined, at(2, 1)],
    ['from and to within hours', at(0, 1), at(2, HOUR_MS - 1)],
    ['within one hour', at(1, 1), at(1, 30)],
    ['from the last moment of an hour', at(0, HOUR_MS - 1), at(2)],
    ['to the first moment of an hour', at(0), at(1)],
    ['a moment across the hour', at(0, HOUR_MS - 1), at(1, 1)],
    ['before everything', undefined, at(0)],
    ['after everything', at(4), undefined],
    ['the hour of the last call, to now', at(3), new Date()],
  ])('totals agree with the records: %s', async (_, from, to) => {
    const tenant = await newTenant(db)
    const edges = [0, 1, 2, 3].flatMap(hour => [at(hour), at(hour, 1), at(hour, 29), at(hour, HOUR_MS - 1)])
    await pastCalls(tenant, edges)
    const reply = await tenant.api.get<UsageSummary>(`/usage?limit=100&${text(from, to)}`)
    const wanted = edges.filter(time => (from === undefined || time >= from) && (to === undefined || time < to))
    expect(reply.body.records.map(record => record.created_at)).toEqual(
      wanted.map(time => time.toISOString()).toReversed(),
    )
    expect(totalsOf(reply)).toEqual(sumOf(reply.body.records))
    const oneOfThem = await tenant.api.get<UsageSummary>(`/usage?limit=1&${text(from, to)}`)
    expect(totalsOf(oneOfThem)).toEqual(totalsOf(reply))
  })

  test('is filtered by model, surface and key, in records and totals', async () => {
    const tenant = await newTenant(db)
    const other = await newKey(db, tenant.userId)
    await insertPastCalls(db, [
      callAt(tenant, at(0), { model: 'test/a', costNanos: 1n }),
      callAt(tenant, at(0, 1), { model: 'test/b', costNanos: 2n }),
      callAt(other, at(1), { model: 'test/a', surface: 'batch', costNanos: 4n }),
      callAt(other, at(2), { model: 'test/b', surface: 'batch', costNanos: 8n }),
    ])
    const nanosOf = async (query: string) => {
      const reply = await tenant.api.get<UsageSummary>(`/usage?${query}`)
      expect(totalsOf(reply)).toEqual(sumOf(reply.body.records))
      return totalsOf(reply).nanos
    }
    expect(await nanosOf('')).toBe(15)
    expect(await nanosOf('model=test/a')).toBe(5)
    expect(await nanosOf('model=test%2Fb')).toBe(10)
    expect(await nanosOf('surface=batch')).toBe(12)
    expect(await nanosOf(`api_key_id=${tenant.keyId}`)).toBe(3)
    expect(await nanosOf(`api_key_id=${other.keyId}&model=test/a&surface=batch`)).toBe(4)
    expect(await nanosOf(`surface=batch&${text(at(1, 1), undefined)}`)).toBe(8)
    expect(await nanosOf('model=test/none')).toBe(0)
  })

  test.each([
    ['from', 'from=yesterday'],
    ['from', 'from=2026-13-45'],
    ['from', 'from='],
    ['to', 'to=-1'],
    ['to', 'to=9999999999999'],
    ['from', text(at(2), at(1))],
    ['from', text(at(1), at(1))],
    ['from', 'from=2026-01-01&from=2026-01-02'],
    ['limit', 'limit=0'],
    ['limit', 'limit=-1'],
    ['limit', 'limit=1001'],
    ['limit', 'limit=ten'],
    ['limit', 'limit=1.5'],
    ['limit', 'limit=1e2'],
    ['limit', 'limit=NaN'],
    ['limit', 'limit=99999999999999999999'],
    ['after', 'after=1'],
    ['after', 'after=file_00000000000000000000000000000000'],
    ['after', 'after='],
    ['surface', 'surface=fax'],
    ['model', `model=${'x'.repeat(257)}`],
    ['api_key_id', 'api_key_id=a%00b'],
  ])('a wrong `%s` is refused and named (%#)', async (param, query) => {
    const { api } = await newTenant(db)
    expectError(await api.get(`/usage?${query}`), 400, { code: 'bad_request', param })
    // The export has no pages.
    if (param === 'limit' || param === 'after') return
    expectError(await api.get(`/usage/export?${query}`), 400, { code: 'bad_request', param })
  })

  test.each(['from=0000-01-01', 'to=9999-12-31T23:59:59.999999999Z', 'from=2026-01-01T00:00%2B14:00'])(
    'takes the extreme time %s',
    async query => {
      const { api } = await newTenant(db)
      expect((await api.get(`/usage?${query}`)).status).toBe(200)
    },
  )
})
