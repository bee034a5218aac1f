import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { spawnApi, type ApiProcess } from '../../support/api-process.ts'
import { testDatabase } from '../../support/database.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import { allTurnEvents, parsedEvents, startTurn, type TurnEvent } from '../../support/turns.ts'
import { until } from '../../support/until.ts'

/** An event is more than the network between the two ends takes, while nobody reads. */
const EVENT_BYTES = 12 * 1024 * 1024
const STALL_SECONDS = 5

const db = testDatabase()
let api: ApiProcess
beforeAll(async () => void (api = await spawnApi({ STREAM_STALL_SECONDS: String(STALL_SECONDS) })))
afterAll(() => api.stop())

/** A turn that has ended, with events too large to be sent while nobody reads. */
async function hugeTurn({ api: client, secret }: Tenant): Promise<{ id: string; events: TurnEvent[] }> {
  const id = await startTurn(client, { reply: 'one two' })
  const events = await allTurnEvents(secret, id)
  await db.query(
    `UPDATE log_events SET data = data || jsonb_build_object('padding', repeat('x', $2::integer))
     WHERE log_id = $1::uuid AND seq <= 3`,
    [id, EVENT_BYTES],
  )
  return { id, events }
}

/** The events of a turn, of which nothing is read yet. */
async function openEvents({ secret }: Tenant, id: string): Promise<IncomingMessage> {
  const request = get(`${api.url}/v1/agent-turns/${id}/events`, { headers: { 'x-api-key': secret }, agent: false })
  const [reply] = (await once(request, 'response')) as [IncomingMessage]
  return reply
}

const stalls = () => api.logs().split('a reader takes nothing').length - 1

test('a reader who takes nothing is told to come back, and reads on from where it was', async () => {
  const tenant = await newTenant(db)
  const { id, events } = await hugeTurn(tenant)
  const before = stalls()
  const reply = await openEvents(tenant, id)
  await until(() => Promise.resolve(stalls() > before))
  const body = await text(reply)
  expect(body).toMatch(/\n\nretry: 1000\n: nothing was read for too long; read on after the last event that came\n\n$/)
  const seen: TurnEvent[] = []
  for await (const event of parsedEvents(new Blob([body]).stream())) seen.push(event)
  expect(seen.length).toBeGreaterThan(0)
  expect(seen.length).toBeLessThan(events.length)
  const after = seen.at(-1)?.seq ?? 0
  const rest = await allTurnEvents(tenant.secret, id, { after })
  expect([...seen, ...rest].map(({ seq, type }) => ({ seq, type }))).toEqual(
    events.map(({ seq, type }) => ({ seq, type })),
  )
})

test('a reader who does not come back is cut off', async () => {
  const tenant = await newTenant(db)
  const { id } = await hugeTurn(tenant)
  const before = stalls()
  const reply = await openEvents(tenant, id)
  await until(() => Promise.resolve(stalls() > before))
  await until(() => Promise.resolve(api.logs().includes(`"userId":"${tenant.userId}"`)))
  await expect(text(reply)).rejects.toThrow('aborted')
})
