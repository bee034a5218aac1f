import { expect, test } from '@jest/globals'
import { chatRow, untilEnded } from '../../support/batches.ts'
import { testDatabase } from '../../support/database.ts'
import { fakePrompt } from '../../support/fake-upstream.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import { startTurn, turnEvents } from '../../support/turns.ts'

const db = testDatabase()
const BATCHES = 200
const TURNS = 5
/** What no loaded machine makes of a figure that is the middle of a few; who waits for places waits for longer. */
const FLOOR_MS = 3_000

/** How long a turn of the tenant takes from its request to the first event of its worker; the middle of a few. */
async function turnStartMs(tenant: Tenant): Promise<number> {
  const taken: number[] = []
  for (let count = 0; count < TURNS; count += 1) {
    const askedAtMs = performance.now()
    const id = await startTurn(tenant.api, { reply: 'x' })
    for await (const event of turnEvents(tenant.secret, id)) {
      if (event.data.lifecycle !== 'warming') continue
      taken.push(performance.now() - askedAtMs)
      break
    }
  }
  return taken.toSorted((a, b) => a - b)[Math.floor(TURNS / 2)] ?? Number.POSITIVE_INFINITY
}

test('200 slow batches of one tenant, and a cancel of all, leave the turns of another as they are', async () => {
  const [noisy, quiet] = [await newTenant(db), await newTenant(db)]
  await turnStartMs(quiet)
  const idleMs = await turnStartMs(quiet)
  const mostMs = Math.max(FLOOR_MS, 2 * idleMs)

  const slow = Array.from({ length: 4 }, (_, index) => chatRow(`r${index}`, fakePrompt({ hang: true })))
  const input_file_id = await noisy.api.upload(slow)
  const ids: string[] = []
  while (ids.length < BATCHES) {
    const some = await Promise.all(
      Array.from({ length: 10 }, () => noisy.api.post('/batches', { input_file_id, completion_window: '1h' })),
    )
    ids.push(...some.map(({ body }) => body.id as string))
  }
  expect(await turnStartMs(quiet)).toBeLessThan(mostMs)

  for (let from = 0; from < BATCHES; from += 20) {
    const replies = await Promise.all(ids.slice(from, from + 20).map(id => noisy.api.post(`/batches/${id}/cancel`)))
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]))
  }
  expect(await turnStartMs(quiet)).toBeLessThan(mostMs)

  for (const id of [ids[0], ids[100], ids.at(-1)]) {
    expect(await untilEnded(noisy.api, id ?? '')).toMatchObject({ status: 'cancelled', last_error: null })
  }
})
