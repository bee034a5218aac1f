import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { DeterminismViolationError } from '@temporalio/workflow'
import { DefaultLogger, makeTelemetryFilterString, Runtime, Worker, type ReplayWorkerOptions } from '@temporalio/worker'
import { builtPath } from '../support/built.ts'

/**
 * Histories recorded from the real server by test/durable/histories/record.ts, with the workers' names replaced. A change of
 * workflow code that breaks one would break jobs that are under way: it needs `patched()`.
 */
const textOf = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`./histories/${name}.json`, import.meta.url)), 'utf8')

interface Event {
  eventType: string
}

const historyOf = (name: string): { events: Event[] } => JSON.parse(textOf(name)) as { events: Event[] }

/** Every history and what it ends with. */
const HISTORIES: [string, string][] = [
  ['batch-completed', 'EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED'],
  ['batch-cancelled', 'EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED'],
  ['batch-expired', 'EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED'],
  ['batch-failed', 'EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED'],
  ['turn-completed', 'EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED'],
  ['turn-failed', 'EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED'],
  ['turn-restarted', 'EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED'],
  ['turn-canceled', 'EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED'],
  ['video-completed', 'EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED'],
  ['video-failed', 'EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED'],
]

const BUNDLE = builtPath('workflows/bundle.js')

function replay(name: string, workflowBundle: ReplayWorkerOptions['workflowBundle'] = { codePath: BUNDLE }) {
  return Worker.runReplayHistory({ ...(workflowBundle && { workflowBundle }) }, historyOf(name))
}

/** The workflows with one change, as a programmer might make it. */
async function changedBundle(from: string, to: string): Promise<{ code: string }> {
  const code = await readFile(BUNDLE, 'utf8')
  expect(code).toContain(from)
  return { code: code.replace(from, to) }
}

describe('a recorded history', () => {
  beforeAll(() => {
    // A replay that fails on purpose is no news.
    const filter = makeTelemetryFilterString({ core: 'ERROR', other: 'ERROR' })
    Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging: { filter } } })
  })

  test.each(HISTORIES)('%s is replayed by the workflows as they are', async (name, end) => {
    expect(historyOf(name).events.at(-1)?.eventType).toBe(end)
    await expect(replay(name)).resolves.toBeUndefined()
  })

  test.each(HISTORIES)('%s names no machine, no process and no file', name => {
    const text = textOf(name)
    expect(text).toContain('"identity": "worker"')
    expect(text).not.toMatch(/"\d+@|file:\/\/|\.[jt]s:\d|"stackTrace": "[^"]/)
  })

  test.each([
    [
      'batch-completed',
      'another step',
      'model.runBatchChunk.executeWithOptions',
      'model.runOtherChunk.executeWithOptions',
    ],
    [
      'batch-completed',
      'no last step',
      'await files.finalizeBatch.executeWithOptions',
      'await (async () => ({ ending: workEnded, ...state }))',
    ],
    ['batch-cancelled', 'other chunks at once', 'CHUNKS_AT_ONCE = 4', 'CHUNKS_AT_ONCE = 1'],
    [
      'batch-expired',
      'no deadline',
      'await (0,_temporalio_workflow__WEBPACK_IMPORTED_MODULE_0__.sleep)',
      'await (async () => new Promise(() => undefined))',
    ],
    [
      'batch-failed',
      'another first step',
      'files.validateBatch.executeWithOptions',
      'files.checkBatch.executeWithOptions',
    ],
    ['turn-completed', 'another step', 'model.runTurn.executeWithOptions', 'model.runOther.executeWithOptions'],
    ['turn-canceled', 'an end of another kind', 'current().consideredCancelled', 'current().neverCancelled'],
    ['video-completed', 'another step', 'poll.pollVideo.executeWithOptions', 'poll.lookAtVideo.executeWithOptions'],
    ['video-failed', 'no end at the first step that ends it', "=== 'ended'", "=== 'over'"],
  ])('%s is not replayed by workflows with %s', async (name, _, from, to) => {
    await expect(replay(name, await changedBundle(from, to))).rejects.toThrow(DeterminismViolationError)
  })
})
