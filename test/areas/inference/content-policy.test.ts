import { describe, expect, test } from '@jest/globals'
import { chatOf, CHAT } from '../../support/chats.ts'
import { testDatabase } from '../../support/database.ts'
import { eventsOf } from '../../support/client.ts'
import { expectError } from '../../support/errors.ts'
import { fakePrompt } from '../../support/fake-upstream.ts'
import { KEEP_ALL, putPolicy, tenantWithPolicy } from '../../support/policies.ts'
import { temporalClient } from '../../support/temporal.ts'
import { newKey, newTenant, type Tenant } from '../../support/tenants.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
const temporal = temporalClient()

interface Kept {
  request: { messages: { content: string }[] } & Record<string, unknown>
  reply: string
  redacted: boolean
  truncated: boolean
  days: number
}

const keptOf = async (tenant: Tenant): Promise<Kept[]> =>
  (
    await db.query<Kept>(
      `SELECT request, reply, redacted, truncated,
         round(extract(epoch FROM expires_at - created_at) / 86400)::integer AS days
       FROM request_contents WHERE user_id = $1 ORDER BY request_id`,
      [tenant.userId],
    )
  ).rows

const ask = async (tenant: Tenant, content: string, body: object = {}) => {
  const reply = await tenant.api.post(CHAT, { model: 'test/plain', messages: [{ role: 'user', content }], ...body })
  expect(reply.status).toBe(200)
  return reply
}

describe('the inference policy', () => {
  test('is off until it is set, and read as it was set', async () => {
    const tenant = await newTenant(db, { inProject: true })
    const path = `/projects/${tenant.projectId}/inference-policy`
    expect((await tenant.api.get(path)).body).toMatchObject({ mode: 'off', redact: true })
    await ask(tenant, 'hello')
    expect(await keptOf(tenant)).toEqual([])
    const { redaction_rule_id: _, ...policy } = { ...KEEP_ALL, mode: 'sampled', sample_rate: 0.25 }
    expect((await putPolicy(tenant, policy)).body).toEqual({ ...policy, redaction_rule_id: null })
    expect((await tenant.api.get(path)).body).toEqual({ ...policy, redaction_rule_id: null })
  })

  test('reaches keys that are in use', async () => {
    const tenant = await newTenant(db, { inProject: true })
    await ask(tenant, 'before')
    await putPolicy(tenant, KEEP_ALL)
    await until(async () => {
      await ask(tenant, 'after')
      return (await keptOf(tenant)).length > 0
    })
    expect((await keptOf(tenant)).map(({ request }) => request.messages[0]?.content)).toEqual(['after'])
  })

  test.each([
    ['an unknown rule', { redaction_rule_id: 'everything' }, 'redaction_rule_id'],
    ['a rate over 1', { sample_rate: 1.1 }, 'sample_rate'],
    ['no retention', { retention_days: 0 }, 'retention_days'],
    ['an endless retention', { retention_days: 100_000 }, 'retention_days'],
  ])('is refused with %s', async (_, changes, param) => {
    const tenant = await newTenant(db, { inProject: true })
    expectError(await putPolicy(tenant, { ...KEEP_ALL, ...changes }), 400, { param })
  })

  test('is of a project that the key sees: its own, or any of its account where it is in none', async () => {
    const owner = await newTenant(db, { inProject: true })
    const wide = { ...(await newKey(db, owner.userId)), projectId: owner.projectId }
    expect((await putPolicy(wide, KEEP_ALL)).status).toBe(200)
    const stranger = { ...(await newTenant(db)), projectId: owner.projectId }
    const elsewhere = { ...(await newTenant(db, { inProject: true })), projectId: owner.projectId }
    for (const other of [stranger, elsewhere, { ...owner, projectId: 'proj_unknown' }]) {
      expectError(await putPolicy(other, { ...KEEP_ALL, mode: 'off' }), 404, { param: 'project_id' })
      expectError(await other.api.get(`/projects/${other.projectId}/inference-policy`), 404, { param: 'project_id' })
    }
    expect((await owner.api.get(`/projects/${owner.projectId}/inference-policy`)).body.mode).toBe('all')
  })
})

describe('what is kept', () => {
  test('is the request and the reply, plain, streamed and of a response, without its metadata', async () => {
    const tenant = await tenantWithPolicy(db)
    await ask(tenant, fakePrompt({ reply: 'plain' }), { metadata: { session_id: 's' }, temperature: 0.5 })
    await eventsOf(await tenant.api.open(CHAT, chatOf({ reply: 'streamed' }, { stream: true })))
    await tenant.api.post('/responses', { model: 'test/plain', input: fakePrompt({ reply: 'response' }) })
    const kept = await keptOf(tenant)
    expect(kept.map(({ reply }) => reply)).toEqual(['plain', 'streamed', 'response'])
    expect(kept.map(one => [one.redacted, one.truncated, one.days])).toEqual(Array(3).fill([false, false, 7]))
    expect(kept[0]?.request).toEqual({
      model: 'test/plain',
      messages: [{ role: 'user', content: fakePrompt({ reply: 'plain' }) }],
      temperature: 0.5,
    })
  })

  test('is redacted and cut, and says so', async () => {
    const tenant = await tenantWithPolicy(db, { redact: true, max_chars_per_message: 40 })
    await ask(tenant, 'write to jane.doe@example.com')
    await ask(tenant, `${'x'.repeat(60)} and no more`)
    const [first, second] = await keptOf(tenant)
    expect(first).toMatchObject({ redacted: true, truncated: false })
    expect(first?.request.messages[0]?.content).toBe('write to [email]')
    expect(second).toMatchObject({ redacted: false, truncated: true })
    expect(second?.request.messages[0]?.content.length).toBeLessThanOrEqual(40)
  })

  test('is a sample, by the request id', async () => {
    const all = await tenantWithPolicy(db, { mode: 'sampled', sample_rate: 1 })
    const none = await tenantWithPolicy(db, { mode: 'sampled', sample_rate: 0 })
    await Promise.all([ask(all, 'hello'), ask(none, 'hello')])
    expect([await keptOf(all), await keptOf(none)].map(kept => kept.length)).toEqual([1, 0])
  })

  test('goes when its retention ends, also where that was shortened, by the daily schedule', async () => {
    const tenant = await tenantWithPolicy(db)
    for (const word of ['expired', 'shortened', 'kept']) await ask(tenant, word)
    const [expired, shortened] = (
      await db.query<{ request_id: string }>(
        'SELECT request_id FROM request_contents WHERE user_id = $1 ORDER BY request_id',
        [tenant.userId],
      )
    ).rows
    await db.query(`UPDATE request_contents SET expires_at = now() WHERE request_id = $1`, [expired?.request_id])
    await db.query(`UPDATE request_contents SET created_at = now() - interval '2 days' WHERE request_id = $1`, [
      shortened?.request_id,
    ])
    expect((await putPolicy(tenant, { ...KEEP_ALL, retention_days: 1 })).status).toBe(200)
    expectError(await tenant.api.post(`/request-history/${expired?.request_id}/replay`), 409)

    const schedule = temporal.schedule.getHandle('retention')
    expect((await schedule.describe()).spec.calendars).toMatchObject([
      { hour: [{ start: 3 }], minute: [{ start: 17 }] },
    ])
    await schedule.trigger()
    const left = await until(async () => {
      const kept = await keptOf(tenant)
      return kept.length === 1 && kept
    })
    expect(left[0]?.request.messages[0]?.content).toBe('kept')
  })
})
