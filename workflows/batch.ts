import {
  ActivityCancellationType,
  CancellationScope,
  CancelledFailure,
  isCancellation,
  proxyActivities,
  sleep,
} from '@temporalio/workflow'
import type { BatchActivities } from '../activities/batches.ts'
import { progressDetails, type BatchEnding, type BatchInput, type Progress } from '../domain/batches/batch.rules.ts'
import { tellPhase } from './phase.ts'
import { carryOn, untilItSucceeds } from './retry-policies.ts'

const CHUNKS_AT_ONCE = 4

const control = proxyActivities<BatchActivities>({
  taskQueue: 'control',
  startToCloseTimeout: '1 hour',
  scheduleToCloseTimeout: '8 days',
  heartbeatTimeout: '20 seconds',
  retry: untilItSucceeds,
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
})

const model = proxyActivities<BatchActivities>({
  taskQueue: 'model',
  startToCloseTimeout: '8 days',
  heartbeatTimeout: '10 seconds',
  retry: carryOn,
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
})

/** A batch: its file is validated, its chunks are run, its files are written, however it ends. */
export async function batch({ batchId }: BatchInput): Promise<void> {
  const ending = await workOn(batchId)
  if (ending === undefined) return
  const ended = await CancellationScope.nonCancellable(() => finalize(batchId, ending))
  // The workflow is shown as canceled too, where it was asked to be.
  if (ended === 'cancelled' && CancellationScope.current().consideredCancelled)
    throw new CancelledFailure('the batch was cancelled')
}

async function finalize(batchId: string, ending: BatchEnding): Promise<BatchEnding> {
  tell(batchId, 'finalizing')
  const summary = `write the files of ${batchId} (${ending})`
  const ended = await control.finalizeBatch.executeWithOptions({ summary }, [batchId, ending])
  tell(batchId, ended)
  return ended
}

/** How the work came to its end; undefined where validation has failed the batch already. */
async function workOn(batchId: string): Promise<BatchEnding | undefined> {
  try {
    tell(batchId, 'validating')
    const plan = await control.validateBatch.executeWithOptions({ summary: `read and price ${batchId}` }, [batchId])
    if (plan.outcome === 'failed') {
      tell(batchId, 'failed')
      return undefined
    }
    if (plan.outcome === 'cancelled') return 'cancelled'
    const progress = { total: plan.total, completed: 0, failed: plan.failed }
    return await runChunks(batchId, plan.chunkCount, Date.parse(plan.deadlineAt), progress)
  } catch (error) {
    if (isCancellation(error)) return 'cancelled'
    throw error
  }
}

/** Runs the chunks, some at once, until all are done or the deadline ends them. */
async function runChunks(
  batchId: string,
  chunkCount: number,
  deadlineMs: number,
  progress: Progress,
): Promise<BatchEnding> {
  const chunks = new CancellationScope()
  const timer = new CancellationScope()
  let expired = false
  const deadline = timer
    .run(async () => {
      await sleep(Math.max(1, deadlineMs - Date.now()), { summary: 'the completion window' })
      expired = true
      chunks.cancel()
    })
    .catch(unlessCancelled)
  try {
    await chunks.run(() => inOrder(chunkCount, index => runChunk(batchId, index, chunkCount, progress)))
    return 'completed'
  } catch (error) {
    if (expired && isCancellation(error)) return 'expired'
    throw error
  } finally {
    timer.cancel()
    await deadline
  }
}

async function inOrder(count: number, run: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const lane = async () => {
    while (next < count) await run(next++)
  }
  await Promise.all(Array.from({ length: Math.min(CHUNKS_AT_ONCE, count) }, lane))
}

async function runChunk(batchId: string, index: number, chunkCount: number, progress: Progress): Promise<void> {
  const summary = `chunk ${index + 1} of ${chunkCount}`
  const now = await model.runBatchChunk.executeWithOptions({ summary }, [batchId, index])
  progress.completed = Math.max(progress.completed, now.completed)
  progress.failed = Math.max(progress.failed, now.failed)
  tell(batchId, 'in_progress', progress)
}

function tell(batchId: string, phase: string, progress: Progress = { total: 0, completed: 0, failed: 0 }): void {
  tellPhase(phase, progressDetails(batchId, phase, progress))
}

function unlessCancelled(error: unknown): void {
  if (!isCancellation(error)) throw error
}
