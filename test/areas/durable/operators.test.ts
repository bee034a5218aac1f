import { describe, expect, test } from '@jest/globals'
import type { WorkflowExecutionInfo, WorkflowHandle } from '@temporalio/client'
import { defaultPayloadConverter } from '@temporalio/common'
import { prefixedId } from '../../../domain/core/ids.ts'
import { chatRow, linesOfFile, startBatch, untilEnded } from '../../support/batches.ts'
import { booksOf } from '../../support/books.ts'
import { testDatabase } from '../../support/database.ts'
import { fakePrompt, waitForAbort, waitForCalls } from '../../support/fake-upstream.ts'
import { testStack } from '../../support/stack.ts'
import { temporalClient } from '../../support/temporal.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import { allTurnEvents, startTurn } from '../../support/turns.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
const temporal = temporalClient()
const { upstreamUrl } = testStack()
/** Longer than anything here may take, shorter than the upstream's time limit. */
const SLOW_MS = 250_000
const TOLD_AT = /^\*\*\w+\*\* · \w+ · \d+\.\d s after its start\n/

/** A batch with a finished row and one whose call is under way. */
async function runningBatch(tenant: Tenant): Promise<{ id: string; slow: string; handle: WorkflowHandle }> {
  const slow = `operated-${tenant.userId}`
  const rows = [
    chatRow('done', fakePrompt({ reply: 'done' })),
    chatRow('slow', fakePrompt({ id: slow, delayMs: SLOW_MS })),
  ]
  const id = await startBatch(tenant.api, rows)
  await waitForCalls(upstreamUrl, slow, 1)
  await until(async () => (await tenant.api.get(`/batches/${id}`)).body.request_counts.completed === 1)
  return { id, slow, handle: temporal.workflow.getHandle(`${id}.1`) }
}

/** The Markdown that the UI shows on the workflow's page. */
async function detailsOf(handle: WorkflowHandle): Promise<string> {
  const metadata = await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata')
  return metadata.currentDetails
}

async function expectFiles(tenant: Tenant, batchId: string, errorCode: string): Promise<void> {
  const { body: batch } = await tenant.api.get(`/batches/${batchId}`)
  const output = await linesOfFile(tenant.api, batch.output_file_id)
  const errors = await linesOfFile(tenant.api, batch.error_file_id)
  expect(output.map(line => line.response.body.choices[0].message.content)).toEqual(['done'])
  expect(errors).toMatchObject([{ custom_id: 'slow', error: { code: errorCode } }])
  expect(batch.request_counts).toEqual({ total: 2, completed: 1, failed: 1 })
  const { rows } = await db.query('SELECT held_nanos FROM accounts WHERE user_id = $1', [tenant.userId])
  expect(rows).toEqual([{ held_nanos: 0n }])
  expect((await booksOf(db, tenant)).charges).toHaveLength(1)
}

describe('an operator sees', () => {
  test('the tenant, the surface, the phase and the job, and searches by them', async () => {
    const tenant = await newTenant(db)
    const { id, handle } = await runningBatch(tenant)
    const attributes = { TenantId: [tenant.userId], Surface: ['batch'], JobId: [id] }
    const running = { ...attributes, Phase: ['in_progress'], Model: ['test/plain'] }
    expect((await handle.describe()).searchAttributes).toMatchObject(running)
    expect(await detailsOf(handle)).toContain(`**${id}** · in_progress`)
    await tenant.api.post(`/batches/${id}/cancel`)
    await untilEnded(tenant.api, id)
    const description = await until(async () => {
      const seen = await handle.describe()
      return seen.status.name !== 'RUNNING' && seen
    })
    expect(description.searchAttributes).toMatchObject({ ...running, Phase: ['cancelled'] })
    expect(await detailsOf(handle)).toContain('| test/plain | 2 | 1 | 1 | 0 |')
    expect(description.status.name).toBe('CANCELLED')
    const fileId = (await tenant.api.get(`/batches/${id}`)).body.input_file_id
    expect(await description.staticSummary()).toMatch(
      new RegExp(`^batch of chat_completions from ${fileId} \\(\\d+ bytes\\)$`),
    )

    const query = `TenantId = '${tenant.userId}' AND Surface = 'batch' AND Phase = 'cancelled' AND JobId = '${id}'`
    const found = await until(async () => {
      const seen: WorkflowExecutionInfo[] = []
      for await (const execution of temporal.workflow.list({ query })) seen.push(execution)
      return seen.length > 0 && seen
    })
    expect(found.map(({ workflowId, type }) => ({ workflowId, type }))).toEqual([
      { workflowId: `${id}.1`, type: 'batch' },
    ])
  })

  test('how far it is, in Markdown', async () => {
    const tenant = await newTenant(db)
    const rows = Array.from({ length: 4 }, (_, index) =>
      chatRow(`r${index}`, index === 0 ? fakePrompt({ status: 400 }) : 'x'),
    )
    const { id } = await untilEnded(tenant.api, await startBatch(tenant.api, rows))
    const { status } = await temporal.workflow.getHandle(`${id}.1`).describe()
    const handle = temporal.workflow.getHandle(`${id}.1`)
    const details = await until(async () => {
      const text = await detailsOf(handle)
      return text.includes('completed') && text
    })
    expect(status.name).toMatch(/RUNNING|COMPLETED/)
    expect(details).toContain(`**${id}** · completed`)
    expect(details).toContain('| model | rows | completed | failed | left | done |')
    expect(details).toMatch(TOLD_AT)
    expect(details).toContain(`| test/plain | 4 | 3 | 1 | 0 | \`${'█'.repeat(10)}\` 100 % |`)
  })

  test('the model, the figures and the time of a turn and a video, whatever they are at', async () => {
    const { api, secret, keyId } = await newTenant(db)
    const turnId = await startTurn(api, { id: keyId, reply: 'one two', dieAfterChunks: 1, dieTimes: 1 })
    await allTurnEvents(secret, turnId)
    const turn = temporal.workflow.getHandle(`${prefixedId('turn', turnId)}.1`)
    await turn.result()
    const { searchAttributes } = await turn.describe()
    expect(searchAttributes).toMatchObject({ Phase: ['completed'], Model: ['test/plain'], Surface: ['turn'] })
    const details = await detailsOf(turn)
    expect(details).toContain(`**${prefixedId('turn', turnId)}** · completed`)
    expect(details).toMatch(/\| model \| attempt \| tokens in \| tokens out \|\n.*\n\| test\/plain \| 2 \| \d+ \| 2 \|/)
    expect(details).toMatch(TOLD_AT)

    const prompt = fakePrompt({ video: { polls: [{ status: 'in_progress' }] } })
    const { body: job } = await api.post<{ id: string }>('/videos', { model: 'test/film', prompt })
    const video = temporal.workflow.getHandle(`${job.id}.1`)
    const running = await until(async () => {
      const text = await detailsOf(video).catch(() => '')
      return text.includes('rendering') && text
    })
    expect(running).toContain(`**${job.id}** · rendering`)
    expect(running).toContain(`\n\n| model |\n| --- |\n| test/film |`)
    expect(running).toMatch(TOLD_AT)
    expect((await video.describe()).searchAttributes).toMatchObject({ Phase: ['rendering'], Model: ['test/film'] })
    await video.terminate('seen')
  })

  test('what each step is, how it is retried, and nothing of what the tenant wrote', async () => {
    const tenant = await newTenant(db)
    const rows = Array.from({ length: 251 }, (_, index) => chatRow(`customer-${index}`, 'a secret thought'))
    const { id } = await untilEnded(tenant.api, await startBatch(tenant.api, rows))
    const handle = temporal.workflow.getHandle(`${id}.1`)
    await handle.result()
    const history = await handle.fetchHistory()
    const steps = (history.events ?? []).flatMap(event => {
      const scheduled = event.activityTaskScheduledEventAttributes
      const summary = event.userMetadata?.summary
      if (scheduled === null || scheduled === undefined || summary === null || summary === undefined) return []
      const { maximumInterval, nonRetryableErrorTypes, maximumAttempts } = scheduled.retryPolicy ?? {}
      return {
        step: scheduled.activityType?.name,
        queue: scheduled.taskQueue?.name,
        summary: defaultPayloadConverter.fromPayload<string>(summary),
        longestWaitSeconds: Number(maximumInterval?.seconds),
        nonRetryableErrorTypes,
        maximumAttempts,
      }
    })
    const untilSuccess = { longestWaitSeconds: 30, nonRetryableErrorTypes: ['JobSuperseded'], maximumAttempts: 0 }
    const resume = { ...untilSuccess, longestWaitSeconds: 15 }
    expect(steps).toEqual([
      { step: 'validateBatch', queue: 'files', summary: `read and price ${id}`, ...untilSuccess },
      { step: 'runBatchChunk', queue: 'model', summary: 'chunk 1 of 2', ...resume },
      { step: 'runBatchChunk', queue: 'model', summary: 'chunk 2 of 2', ...resume },
      { step: 'finalizeBatch', queue: 'files', summary: `write the files of ${id} (completed)`, ...untilSuccess },
    ])
    const payloads = (history.events ?? []).map(event => JSON.stringify(event, decoded)).join('')
    expect(payloads).toContain(id)
    expect(payloads).not.toMatch(/secret thought|customer-\d/)
    expect(payloads).not.toContain(tenant.secret)
  })
})

/** Bytes as the text that they are. */
function decoded(_key: string, value: unknown): unknown {
  const bytes = value as { type?: string; data?: number[] } | null
  return bytes?.type === 'Buffer' ? Buffer.from(bytes.data ?? []).toString() : value
}

describe("an operator's", () => {
  test('cancel in Temporal makes the batch cancelled', async () => {
    const tenant = await newTenant(db)
    const { id, slow, handle } = await runningBatch(tenant)
    await handle.cancel()
    const [call] = await waitForAbort(upstreamUrl, slow)
    expect(call?.aborted).toBe(true)
    const batch = await untilEnded(tenant.api, id)
    expect(batch).toMatchObject({ status: 'cancelled', completed_at: expect.any(String) })
    await expectFiles(tenant, id, 'batch_cancelled')
  })

  test('terminate makes the batch failed, with what was done', async () => {
    const tenant = await newTenant(db)
    const { id, slow, handle } = await runningBatch(tenant)
    await handle.terminate('an operator says so')
    await waitForAbort(upstreamUrl, slow)
    const batch = await untilEnded(tenant.api, id)
    expect(batch).toMatchObject({ status: 'failed', last_error: 'The workflow was terminated by an operator.' })
    await expectFiles(tenant, id, 'batch_failed')
    const { rows } = await db.query('SELECT state, outcome, run FROM jobs WHERE resource_id = $1', [id])
    expect(rows).toEqual([{ state: 'ended', outcome: 'failed', run: 1 }])
  })
})
