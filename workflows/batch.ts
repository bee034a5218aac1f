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
import { tellModel, tellPhase } from './phase.ts'
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
export async function batch({ batchId, deadlineAt }: BatchInput): Promise<void> {
  const progress: Progress = { total: 0, completed: 0, failed: 0 }
  const ending = await workUntil(Date.parse(deadlineAt), () => workOn(batchId, progress))
  if (ending === undefined) return
  const ended = await CancellationScope.nonCancellable(() => finalize(batchId, ending, progress))
  // The workflow is shown as canceled too, where it was asked to be.
  if (ended === 'cancelled' && CancellationScope.current().consideredCancelled) {
    throw new CancelledFailure('the batch was cancelled')
  }
}

async function finalize(batchId: string, workEnded: BatchEnding, progress: Progress): Promise<BatchEnding> {
  tell(batchId, 'finalizing', progress)
  const summary = `write the files of ${batchId} (${workEnded})`
  const { ending, ...counts } = await control.finalizeBatch.executeWithOptions({ summary }, [batchId, workEnded])
  tell(batchId, ending, counts)
  return ending
}

/** The work's own ending, or that of what ended it: the deadline or a cancel. */
async function workUntil(
  deadlineMs: number,
  work: () => Promise<BatchEnding | undefined>,
): Promise<BatchEnding | undefined> {
  const working = new CancellationScope()
  const timer = new CancellationScope()
  let expired = false
  const deadline = timer
    .run(async () => {
      await sleep(Math.max(1, deadlineMs - Date.now()), { summary: 'the completion window' })
      expired = true
      working.cancel()
    })
    .catch(unlessCancelled)
  try {
    return await working.run(work)
  } catch (error) {
    unlessCancelled(error)
    return expired ? 'expired' : 'cancelled'
  } finally {
    timer.cancel()
    await deadline
  }
}

/** Validates and runs the batch; undefined where it has ended already. */
async function workOn(batchId: string, progress: Progress): Promise<BatchEnding | undefined> {
  tell(batchId, 'validating', progress)
  const plan = await control.validateBatch.executeWithOptions({ summary: `read and price ${batchId}` }, [batchId])
  if (plan.outcome === 'failed') {
    tell(batchId, 'failed', progress)
    return undefined
  }
  if (plan.outcome === 'cancelled') return 'cancelled'
  tellModel(plan.model)
  progress.total = plan.total
  progress.failed = plan.failed
  tell(batchId, 'in_progress', progress)
  await inOrder(plan.chunkCount, index => runChunk(batchId, index, plan.chunkCount, progress))
  return 'completed'
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

function tell(batchId: string, phase: string, progress: Progress): void {
  tellPhase(phase, progressDetails(batchId, phase, progress))
}

function unlessCancelled(error: unknown): void {
  if (!isCancellation(error)) throw error
}
