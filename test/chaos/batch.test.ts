import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { verifyLedger } from '../../domain/money/verify/verify.ts'
import { chatRow, linesOfFile, startBatch, untilBatch, untilEnded } from '../support/batches.ts'
import { fakePrompt } from '../support/fake-upstream.ts'
import { newTenant } from '../support/tenants.ts'
import { patient } from './patient.ts'
import { startChaosStack, type ChaosStack } from './chaos-stack.ts'

const ROWS = 2_000
const LATENCY_MS = 200
/** For a hang alone. */
const WITHIN_MS = 600_000

/** What is done to the stack when that share of the rows is finished. */
interface Blow {
  atShare: number
  strike: (stack: ChaosStack) => void
}

const killProcesses = (stack: ChaosStack) => ['api', 'worker control', 'worker model'].forEach(name => stack.kill(name))

const STORIES: [string, Blow[]][] = [
  ['API and workers are killed three times', [0.1, 0.45, 0.8].map(atShare => ({ atShare, strike: killProcesses }))],
  ['Temporal is killed', [{ atShare: 0.3, strike: stack => stack.kill('temporal') }]],
  ['Postgres is restarted', [{ atShare: 0.3, strike: stack => stack.kill('postgres', 'SIGINT') }]],
  ['Postgres is killed', [{ atShare: 0.5, strike: stack => stack.kill('postgres') }]],
]

describe('a batch of 2,000 rows survives', () => {
  let stack: ChaosStack
  beforeAll(async () => {
    stack = await startChaosStack()
  })
  afterAll(() => stack.stop())

  test.each(STORIES)(
    'when %s',
    async (_story, blows) => {
      const tenant = await newTenant(stack.db, { apiUrl: stack.apiUrl })
      const { userId } = tenant
      const api = patient(tenant.api)
      const ids = Array.from({ length: ROWS }, (_, index) => `row-${index}`)
      const batchId = await startBatch(
        api,
        ids.map(id => chatRow(id, fakePrompt({ delayMs: LATENCY_MS, reply: `reply to ${id}` }))),
      )

      for (const { atShare, strike } of blows) {
        await untilBatch(api, batchId, batch => batch.request_counts.completed >= atShare * ROWS, WITHIN_MS)
        strike(stack)
      }
      const batch = await untilEnded(api, batchId, WITHIN_MS)

      expect(batch).toMatchObject({
        status: 'completed',
        request_counts: { total: ROWS, completed: ROWS, failed: 0 },
        error_file_id: null,
      })
      const lines = await linesOfFile(api, batch.output_file_id)
      expect(lines.map(line => line.custom_id)).toEqual(ids)
      expect(lines.every(line => line.response.body.choices[0].message.content === `reply to ${line.custom_id}`)).toBe(
        true,
      )
      expect(await chargesOf(stack, userId)).toEqual({ charges: BigInt(ROWS), calls: BigInt(ROWS) })
      expect(await verifyLedger({ db: stack.db })).toMatchObject({ ok: true })
    },
    4 * WITHIN_MS,
  )
})

async function chargesOf(stack: ChaosStack, userId: string): Promise<{ charges: bigint; calls: bigint }> {
  const { rows } = await stack.db.query<{ charges: bigint; calls: bigint }>(
    `SELECT (SELECT count(*) FROM ledger_entries WHERE user_id = $1 AND kind = 'charge') AS charges,
       (SELECT count(*) FROM inference_requests WHERE user_id = $1) AS calls`,
    [userId],
  )
  return rows[0] ?? { charges: 0n, calls: 0n }
}
