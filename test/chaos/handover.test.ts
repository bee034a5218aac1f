import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { Client, Connection } from '@temporalio/client'
import { prefixedId } from '../../domain/core/ids.ts'
import { verifyLedger } from '../../domain/money/verify/verify.ts'
import { booksOf } from '../support/books.ts'
import { newTenant } from '../support/tenants.ts'
import { startTurn, textOf, turnEvents, type TurnEvent } from '../support/turns.ts'
import { startChaosStack, type ChaosStack } from './chaos-stack.ts'

let stack: ChaosStack
beforeAll(async () => {
  stack = await startChaosStack()
})
afterAll(() => stack.stop())

/** Why the attempts of a workflow's only activity ended before the last one began. */
async function lastFailure(workflowId: string) {
  const connection = await Connection.connect({ address: stack.temporalAddress })
  try {
    const { events } = await new Client({ connection }).workflow.getHandle(workflowId).fetchHistory()
    const started = events?.find(event => event.activityTaskStartedEventAttributes)?.activityTaskStartedEventAttributes
    return { attempt: started?.attempt, failure: started?.lastFailure }
  } finally {
    await connection.close()
  }
}

test('a worker that is told to end hands its turn over, and the next one carries it to its end', async () => {
  const tenant = await newTenant(stack.db, { apiUrl: stack.apiUrl })
  const words = Array.from({ length: 60 }, (_, slot) => `w${slot} `)
  const requestId = await startTurn(tenant.api, { id: tenant.userId, chunks: words, chunkDelayMs: 100 })
  const seen: TurnEvent[] = []
  for await (const event of turnEvents(tenant.secret, requestId, { apiUrl: stack.apiUrl })) {
    if (event.type === 'turn.delta' && !seen.some(({ type }) => type === 'turn.delta'))
      stack.kill('worker interactive provider-jobs', 'SIGTERM')
    seen.push(event)
  }
  expect(seen.filter(({ type }) => type === 'turn.restarted')).toMatchObject([{ data: { attempt: 2 } }])
  expect(seen.at(-1)).toMatchObject({ type: 'turn.completed' })
  expect(textOf(seen)).toBe(words.join(''))
  // Given back, and not found dead when its heartbeats stayed away.
  const { attempt, failure } = await lastFailure(`${prefixedId('turn', requestId)}.1`)
  expect(attempt).toBe(2)
  expect(failure?.timeoutFailureInfo ?? undefined).toBeUndefined()
  expect(failure?.message).toMatch(/shut/i)
  const { charges } = await booksOf(stack.db, tenant)
  expect(charges).toHaveLength(1)
  expect(await verifyLedger({ db: stack.db })).toMatchObject({ ok: true })
})
