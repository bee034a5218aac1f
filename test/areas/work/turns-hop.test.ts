import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { spawnApi, type ApiProcess } from '../../support/api-process.ts'
import { testDatabase } from '../../support/database.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import { allTurnEvents, startTurn, textOf, turnEvents, type TurnEvent } from '../../support/turns.ts'

const db = testDatabase()
let other: ApiProcess
beforeAll(async () => void (other = await spawnApi({})))
afterAll(() => other.stop())

/** The next event of a turn, read over a connection of its own, which is closed then. */
async function nextEvent(tenant: Tenant, requestId: string, after: number, apiUrl: string): Promise<TurnEvent> {
  for await (const event of turnEvents(tenant.secret, requestId, { after, apiUrl })) {
    return event
  }
  throw new Error(`there was no event after ${after}`)
}

test('a reader hops between two API processes at every event, and misses and repeats none', async () => {
  const tenant = await newTenant(db)
  const words = Array.from({ length: 12 }, (_, index) => ` word${index}`)
  const requestId = await startTurn(tenant.api, { chunks: words, chunkDelayMs: 80 })
  const apis = [testStack().apiUrl, other.url]
  const seen: TurnEvent[] = []
  while (!/^turn\.(completed|failed|canceled)$/.test(seen.at(-1)?.type ?? '')) {
    const event = await nextEvent(tenant, requestId, seen.at(-1)?.seq ?? 0, apis[seen.length % 2] ?? '')
    seen.push(event)
  }
  expect(seen.map(event => event.seq)).toEqual(seen.map((_, index) => index + 1))
  expect(textOf(seen)).toBe(words.join(''))
  expect(seen.filter(event => event.type === 'turn.delta').length).toBeGreaterThan(3)
  for (const apiUrl of apis) expect(await allTurnEvents(tenant.secret, requestId, { apiUrl })).toEqual(seen)
})
