import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js'
import { prefixedId, uuidOf } from '../../../domain/core/ids.ts'
import { chatRow, startBatch, untilBatch } from '../../support/batches.ts'
import type { ApiClient } from '../../support/client.ts'
import { testDatabase } from '../../support/database.ts'
import { fakePrompt, waitForCalls, type FakeScript } from '../../support/fake-upstream.ts'
import { testStack } from '../../support/stack.ts'
import { temporalClient } from '../../support/temporal.ts'
import { startTurn } from '../../support/turns.ts'
import { until } from '../../support/until.ts'
import { newTenant } from '../../support/tenants.ts'

// Records the histories that replay.test.ts replays, over those of before:
//   npm test -- --testMatch '**/histories/record.ts'
// Do so when a workflow has changed on purpose and no job of the version before can be running any more; else the
// change belongs behind `patched()`.

const db = testDatabase()
const temporal = temporalClient()

/** How Temporal's SDK names a worker, and its own (sticky) task queue after it. */
const PROCESS_NAME = /^\d+@\S+$/

const STORIES: Record<string, (api: ApiClient, group: string) => Promise<string>> = {
  'batch-completed': async api => {
    // More chunks than run at once, and rows of both outcomes.
    const rows = Array.from({ length: 1_200 }, (_, index) =>
      chatRow(`r${index}`, 'hello', index % 100 === 0 ? { stream: true } : {}),
    )
    return startBatch(api, rows)
  },
  'batch-cancelled': async (api, group) => {
    const rows = Array.from({ length: 600 }, (_, index) => chatRow(`r${index}`, fakePrompt({ group, delayMs: 500 })))
    const id = await startBatch(api, rows)
    await waitForCalls(testStack().upstreamUrl, group, 1)
    await untilBatch(api, id, batch => batch.request_counts.completed > 0)
    await api.post(`/batches/${id}/cancel`)
    return id
  },
  'batch-expired': (api, group) =>
    startBatch(api, [chatRow('a', 'hello'), chatRow('b', fakePrompt({ group, delayMs: 8_000 }))], {
      completion_window: '2s',
    }),
  'batch-failed': api => startBatch(api, 'no line of this is JSON\n'),
  'turn-completed': api => turnOf(api, { reply: 'one two' }),
  'turn-failed': api => turnOf(api, { status: 400 }),
  'turn-restarted': (api, id) => turnOf(api, { id, reply: 'one two three', dieAfterChunks: 2, dieTimes: 1 }),
  'turn-canceled': async (api, group) => {
    const id = await turnOf(api, { group, reply: 'one two', hangAfterChunks: 1 })
    await waitForCalls(testStack().upstreamUrl, group, 1)
    await api.post(`/agent-turns/${uuidOf(id)}/cancel`)
    return id
  },
  'video-completed': api => videoOf(api, { polls: [{ status: 'in_progress' }, DONE] }),
  'video-failed': api => videoOf(api, { polls: [{ status: 'failed', error: 'no' }] }),
}

const DONE = { status: 'completed', unsigned_urls: ['https://example.com/v.mp4'], usage: { cost: 0.1 } }

const turnOf = async (api: ApiClient, script: FakeScript): Promise<string> =>
  prefixedId('turn', await startTurn(api, script)) ?? ''

async function videoOf(api: ApiClient, video: FakeScript['video']): Promise<string> {
  const prompt = fakePrompt({ ...(video && { video }) })
  return ((await api.post('/videos', { model: 'test/film', prompt })).body as { id: string }).id
}

describe('records the history of a', () => {
  test.each(Object.entries(STORIES))('%s', async (name, story) => {
    const { api, userId } = await newTenant(db)
    const id = await story(api, `record-${userId}`)
    const handle = temporal.workflow.getHandle(`${id}.1`)
    await until(() => handle.describe().catch(() => undefined))
    await handle.result().catch(() => undefined)
    const text = neutral(historyToJSON(await handle.fetchHistory()))
    expect(text).toContain('EVENT_TYPE_WORKFLOW_EXECUTION_STARTED')
    await writeFile(fileURLToPath(new URL(`./${name}.json`, import.meta.url)), `${text}\n`)
  })
})

/** Without the names of the processes and the places of the files that took part; replay needs neither. */
function neutral(historyJson: string): string {
  return JSON.stringify(
    JSON.parse(historyJson),
    (key, value: unknown) => {
      if (key === 'stackTrace') return ''
      return typeof value === 'string' ? value.replace(PROCESS_NAME, 'worker') : value
    },
    1,
  )
}
