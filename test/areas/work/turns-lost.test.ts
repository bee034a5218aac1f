import { describe, expect, test } from '@jest/globals'
import { prefixedId } from '../../../domain/core/ids.ts'
import { booksOf } from '../../support/books.ts'
import { testDatabase } from '../../support/database.ts'
import { waitForAbort, waitForCalls } from '../../support/fake-upstream.ts'
import { testStack } from '../../support/stack.ts'
import { temporalClient } from '../../support/temporal.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import { allTurnEvents, startTurn, textOf } from '../../support/turns.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
const temporal = temporalClient()
const { upstreamUrl } = testStack()

/** A turn whose first call of its model is under way. */
async function runningTurn(tenant: Tenant, first: object): Promise<{ requestId: string; turnId: string }> {
  const requestId = await startTurn(tenant.api, { id: tenant.keyId, reply: 'one two', ...first })
  await waitForCalls(upstreamUrl, tenant.keyId, 1)
  return { requestId, turnId: prefixedId('turn', requestId) ?? '' }
}

/** As if nobody had touched its job for long, however often the step that is still running does. */
const quiet = (turnId: string) =>
  until(async () => {
    await db.query(`UPDATE jobs SET touched_at = now() - interval '1 minute' WHERE resource_id = $1`, [turnId])
    const { rows } = await db.query<{ run: number; state: string }>(
      'SELECT run, state FROM jobs WHERE resource_id = $1',
      [turnId],
    )
    return rows[0]?.state === 'ended' || rows[0]?.run === 2
  })

describe('a turn', () => {
  test('whose workflow an operator terminated ends as failed, told to its readers, free, its model stopped', async () => {
    const tenant = await newTenant(db)
    const { requestId, turnId } = await runningTurn(tenant, { hang: true })
    const events = allTurnEvents(tenant.secret, requestId)
    await temporal.workflow.getHandle(`${turnId}.1`).terminate('by a test')
    await quiet(turnId)
    expect((await events).at(-1)).toMatchObject({
      type: 'turn.failed',
      data: { lifecycle: 'failed', error: { message: 'The workflow was terminated by an operator.', retryable: true } },
    })
    expect((await tenant.api.get(`/agent-turns/${requestId}`)).body).toMatchObject({ lifecycle: 'failed' })
    expect(await waitForAbort(upstreamUrl, tenant.keyId)).toHaveLength(1)
    const { charges } = await booksOf(db, tenant)
    expect(charges).toEqual([])
    const { rows } = await db.query('SELECT held_nanos FROM accounts WHERE user_id = $1', [tenant.userId])
    expect(rows).toEqual([{ held_nanos: 0n }])
  })

  test('whose workflow vanished is run again, and billed once', async () => {
    const tenant = await newTenant(db)
    const { requestId, turnId } = await runningTurn(tenant, { delayMs: 120_000, delayTimes: 1 })
    const events = allTurnEvents(tenant.secret, requestId)
    const execution = { namespace: 'default', workflowExecution: { workflowId: `${turnId}.1` } }
    await temporal.workflowService.deleteWorkflowExecution(execution)
    await quiet(turnId)
    const seen = await events
    expect(seen.at(-1)?.type).toBe('turn.completed')
    expect(seen.map(event => event.seq)).toEqual(seen.map((_, index) => index + 1))
    expect(textOf(seen)).toBe('one two')
    expect((await booksOf(db, tenant)).charges).toHaveLength(1)
    await expect(temporal.workflow.getHandle(`${turnId}.2`).result()).resolves.toBeUndefined()
  })
})
