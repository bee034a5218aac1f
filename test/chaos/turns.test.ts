import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { verifyLedger } from '../../domain/money/verify/verify.ts'
import { fakeCalls } from '../support/fake-upstream.ts'
import { newTenant, type Tenant } from '../support/tenants.ts'
import { textOf, turnEvents, type TurnEvent } from '../support/turns.ts'
import { until } from '../support/until.ts'
import { patient } from './patient.ts'
import { startChaosStack, type ChaosStack } from './chaos-stack.ts'
import { chatOf } from '../support/chats.ts'

const READERS = 50
const KILLS_EACH = 10
const PAUSE_MS = { from: 1_000, to: 8_000 }
/** For a hang alone. */
const WITHIN_MS = 900_000
const VICTIMS = ['api', 'worker interactive provider-jobs', 'worker control', 'temporal']

/** Kills a process again and again, at times of chance; one that cannot live while another is down is waited for. */
async function killAgainAndAgain(name: string): Promise<void> {
  for (let kill = 0; kill < KILLS_EACH; kill += 1) {
    await delay(PAUSE_MS.from + Math.random() * (PAUSE_MS.to - PAUSE_MS.from))
    await until(async () => stack.isRunning(name), WITHIN_MS)
    stack.kill(name)
  }
}

let stack: ChaosStack
beforeAll(async () => {
  stack = await startChaosStack()
})
afterAll(() => stack.stop())

/** Reads a turn to its end, and on from the last event it saw for as long as its stream breaks. */
async function readToTheEnd(tenant: Tenant, requestId: string): Promise<TurnEvent[]> {
  const giveUpAtMs = Date.now() + WITHIN_MS
  const seen: TurnEvent[] = []
  while (seen.at(-1)?.type !== 'turn.completed') {
    if (Date.now() > giveUpAtMs) throw new Error(`${requestId} did not end: ${JSON.stringify(seen.at(-1))}`)
    await readOn(tenant, requestId, seen).catch(() => delay(100))
  }
  return seen
}

async function readOn(tenant: Tenant, requestId: string, seen: TurnEvent[]): Promise<void> {
  const options = { after: seen.at(-1)?.seq ?? 0, apiUrl: stack.apiUrl }
  for await (const event of turnEvents(tenant.secret, requestId, options)) seen.push(event)
}

const wordsOf = (name: string, attempt: string): string[] =>
  Array.from({ length: 60 }, (_, slot) => `${name}w${slot}a${attempt} `)

interface Story {
  name: string
  events: TurnEvent[]
}

/** Starts a turn and reads it to its end, then the next one, while there is to be another. */
async function takeTurns(tenant: Tenant, reader: number, another: () => boolean): Promise<Story[]> {
  const stories: Story[] = []
  do {
    const name = `${tenant.userId}-${reader}-${stories.length}`
    const turn = chatOf({ id: name, chunks: wordsOf(name, '#'), numbered: true, chunkDelayMs: 150 })
    const { body } = await patient(tenant.api).post('/agent-turns', turn, { 'idempotency-key': name })
    stories.push({ name, events: await readToTheEnd(tenant, body.request_id as string) })
  } while (another())
  return stories
}

test(
  `${READERS} turns at once survive ${KILLS_EACH} kills each of API, workers and Temporal`,
  async () => {
    const tenant = await newTenant(stack.db, { apiUrl: stack.apiUrl, creditUsd: '100' })
    let killing = true
    const killed = Promise.all(VICTIMS.map(killAgainAndAgain)).finally(() => (killing = false))
    const readers = Array.from({ length: READERS }, (_, reader) => takeTurns(tenant, reader, () => killing))
    const [stories] = await Promise.all([Promise.all(readers).then(all => all.flat()), killed])
    const restarted = stories.filter(({ events }) => events.some(event => event.type === 'turn.restarted'))
    expect(restarted.length).toBeGreaterThan(0)
    for (const { name, events } of stories) {
      expect(events.map(event => event.seq)).toEqual(events.map((_, slot) => slot + 1))
      expect(events.filter(event => /^turn\.(completed|failed|canceled)$/.test(event.type))).toHaveLength(1)
      const asked = await fakeCalls(stack.upstreamUrl, name)
      expect(textOf(events)).toBe(wordsOf(name, String(asked.length)).join(''))
    }
    const { rows } = await stack.db.query<{ charges: bigint; calls: bigint; turns: bigint; open: bigint }>(
      `SELECT (SELECT count(*) FROM ledger_entries WHERE user_id = $1 AND kind = 'charge') AS charges,
         (SELECT count(*) FROM inference_requests WHERE user_id = $1) AS calls,
         (SELECT count(*) FROM jobs WHERE user_id = $1) AS turns,
         (SELECT count(*) FROM jobs WHERE user_id = $1 AND state = 'open') AS open`,
      [tenant.userId],
    )
    const turns = BigInt(stories.length)
    expect(rows[0]).toEqual({ charges: turns, calls: turns, turns, open: 0n })
    expect(await verifyLedger({ db: stack.db })).toMatchObject({ ok: true })
  },
  2 * WITHIN_MS,
)
