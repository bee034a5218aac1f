import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { verifyLedger } from '../../domain/ledger/verify.ts'
import { fakeCalls } from '../support/fake-upstream.ts'
import { newTenant, type Tenant } from '../support/tenants.ts'
import { textOf, turnEvents, type TurnEvent } from '../support/turns.ts'
import { until } from '../support/until.ts'
import { patient } from './patient.ts'
import { startChaosStack, type ChaosStack } from './chaos-stack.ts'
import { chatOf } from '../support/chats.ts'

const TURNS = 50
const KILLS = 10
const KILL_EVERY_MS = 3_000
const WITHIN_MS = 300_000
const VICTIMS = ['api', 'worker model', 'worker control', 'temporal']

/** After the first, each victim twice at least, in an order of chance. */
const victims = (): string[] =>
  Array.from({ length: KILLS - 1 }, (_, index) => VICTIMS[index % VICTIMS.length] ?? 'api')
    .map(name => ({ name, place: Math.random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ name }) => name)

let stack: ChaosStack
beforeAll(async () => {
  stack = await startChaosStack()
}, 120_000)
afterAll(() => stack.stop(), 60_000)

/** Reads on from the last event it saw for as long as its stream breaks. */
async function readToTheEnd(tenant: Tenant, requestId: string, seen: TurnEvent[]): Promise<TurnEvent[]> {
  const giveUpAtMs = Date.now() + WITHIN_MS
  while (seen.at(-1)?.type !== 'turn.completed') {
    if (Date.now() > giveUpAtMs) throw new Error(`${requestId} did not end: ${JSON.stringify(seen.at(-1))}`)
    await readOn(tenant, requestId, seen).catch(() => new Promise(resolve => setTimeout(resolve, 100)))
  }
  return seen
}

async function readOn(tenant: Tenant, requestId: string, seen: TurnEvent[]): Promise<void> {
  const options = { after: seen.at(-1)?.seq ?? 0, apiUrl: stack.apiUrl }
  for await (const event of turnEvents(tenant.secret, requestId, options)) seen.push(event)
}

const wordsOf = (index: number): string[] => Array.from({ length: 60 }, (_, place) => `t${index}w${place} `)

test(
  `${TURNS} turns survive ${KILLS} kills of API, workers and Temporal`,
  async () => {
    const tenant = await newTenant(stack.db, { apiUrl: stack.apiUrl, creditUsd: '100' })
    const api = patient(tenant.api)
    const turns = await Promise.all(
      Array.from({ length: TURNS }, async (_, index) => {
        const script = { id: `${tenant.userId}-${index}`, chunks: wordsOf(index), chunkDelayMs: 150 }
        const reply = await api.post('/agent-turns', chatOf(script), { 'idempotency-key': `turn-${index}` })
        return reply.body.request_id as string
      }),
    )
    const seen = turns.map((): TurnEvent[] => [])
    const reading = Promise.all(turns.map((id, index) => readToTheEnd(tenant, id, seen[index] ?? [])))
    // One that streams is cut for sure.
    await until(async () => seen.flat().some(event => event.type === 'turn.delta'), 60_000)
    stack.kill('worker model')
    for (const victim of victims()) {
      await new Promise(resolve => setTimeout(resolve, KILL_EVERY_MS))
      stack.kill(victim)
    }
    const stories = await reading
    expect(stories.some(events => events.some(event => event.type === 'turn.restarted'))).toBe(true)
    for (const [index, events] of stories.entries()) {
      expect(events.map(event => event.seq)).toEqual(events.map((_, place) => place + 1))
      expect(events.filter(event => /^turn\.(completed|failed|canceled)$/.test(event.type))).toHaveLength(1)
      expect(textOf(events)).toBe(wordsOf(index).join(''))
      const asked = await fakeCalls(stack.upstreamUrl, `${tenant.userId}-${index}`)
      expect(asked.length).toBeGreaterThanOrEqual(1)
    }
    const { rows } = await stack.db.query<{ charges: bigint; calls: bigint; open: bigint }>(
      `SELECT (SELECT count(*) FROM ledger_entries WHERE user_id = $1 AND kind = 'charge') AS charges,
         (SELECT count(*) FROM inference_requests WHERE user_id = $1) AS calls,
         (SELECT count(*) FROM jobs WHERE user_id = $1 AND state = 'open') AS open`,
      [tenant.userId],
    )
    expect(rows[0]).toEqual({ charges: BigInt(TURNS), calls: BigInt(TURNS), open: 0n })
    expect(await verifyLedger({ db: stack.db })).toMatchObject({ ok: true })
  },
  WITHIN_MS + 60_000,
)
