import { expect, test } from '@jest/globals'
import { Value } from 'typebox/value'
import { EVENT_TYPES, type EventType } from '../../../domain/durable/outbox/event-types.schema.ts'
import { readEvents } from '../../../domain/durable/outbox/events.service.ts'
import { revokeApiKey } from '../../../domain/tenancy/keys/keys.service.ts'
import { chatRow, startBatch, untilEnded } from '../../support/batches.ts'
import { testDatabase } from '../../support/database.ts'
import { fakePrompt } from '../../support/fake-upstream.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import { allTurnEvents, startTurn } from '../../support/turns.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()

const eventsOf = (tenant: Tenant) =>
  readEvents({ db }, { userId: tenant.userId, projectId: tenant.projectId ?? null }, 0n, 100)

/** The types of a tenant's events by their order, once there are so many; each as its schema says. */
async function told(tenant: Tenant, count: number): Promise<string[]> {
  const events = await until(async () => {
    const all = await eventsOf(tenant)
    return all.length >= count && all
  })
  for (const { type, payload } of events) {
    expect({ type, errors: Value.Errors(EVENT_TYPES[type as EventType], payload) }).toEqual({ type, errors: [] })
  }
  expect(events.map(({ seq }) => Number(seq))).toEqual(events.map((_, index) => index + 1))
  return events.map(({ type, subject }) => `${type} ${subject}`)
}

test('keys and files tell what happened to them, in their project', async () => {
  const tenant = await newTenant(db, { inProject: true })
  const fileId = await tenant.api.upload([{ a: 1 }])
  await tenant.api.send('DELETE', `/files/${fileId}`, {})
  await revokeApiKey({ db }, tenant.keyId)
  await revokeApiKey({ db }, tenant.keyId)
  expect(await told(tenant, 4)).toEqual([
    `key.created ${tenant.keyId}`,
    `file.created ${fileId}`,
    `file.deleted ${fileId}`,
    `key.revoked ${tenant.keyId}`,
  ])
})

test('a batch tells its end behind the files that it made', async () => {
  const tenant = await newTenant(db)
  const batchId = await startBatch(tenant.api, [chatRow('a', 'hello')])
  const batch = await untilEnded(tenant.api, batchId)
  expect((await told(tenant, 4)).slice(2)).toEqual([
    `file.created ${batch.output_file_id}`,
    `batch.completed ${batchId}`,
  ])
})

test('a turn tells its end, and one for a background response that of the response too', async () => {
  const tenant = await newTenant(db)
  const requestId = await startTurn(tenant.api, { reply: 'one two' })
  await allTurnEvents(tenant.secret, requestId)
  const turnId = `turn_${requestId.replaceAll('-', '')}`
  expect((await told(tenant, 2)).slice(1)).toEqual([`turn.completed ${turnId}`])

  const asked = { model: 'test/plain', background: true, input: fakePrompt({ status: 400 }) }
  const responseId = ((await tenant.api.post('/responses', asked)).body as { id: string }).id
  const all = await told(tenant, 4)
  expect(all.slice(2).toSorted()).toEqual([
    `response.failed ${responseId}`,
    `turn.failed ${responseId.replace('resp_', 'turn_')}`,
  ])
})

test('a video tells its end', async () => {
  const tenant = await newTenant(db)
  const prompt = fakePrompt({ video: { polls: [{ status: 'failed', error: 'no' }] } })
  const videoId = ((await tenant.api.post('/videos', { model: 'test/film', prompt })).body as { id: string }).id
  expect((await told(tenant, 2)).slice(1)).toEqual([`video.failed ${videoId}`])
})
