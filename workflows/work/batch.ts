import {
  ActivityCancellationType,
  CancellationScope,
  CancelledFailure,
  isCancellation,
  proxyActivities,
  sleep,
} from '@temporalio/workflow'
import type { BatchActivities } from '../../activities/work/batches.ts'
import {
  batchDetails,
  type BatchEnding,
  type BatchInput,
  type BatchState,
} from '../../domain/work/batches/batch.rules.ts'
import { showDetails } from '../durable/details.ts'
import { resume, untilSuccess } from '../durable/retry-policies.ts'

const CHUNKS_AT_ONCE = 4

const files = proxyActivities<BatchActivities>({
  taskQueue: 'files',
  startToCloseTimeout: '1 hour',
  scheduleToCloseTimeout: '8 days',
  heartbeatTimeout: '20 seconds',
  retry: untilSuccess,
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
})

const model = proxyActivities<BatchActivities>({
  taskQueue: 'model',
  startToCloseTimeout: '8 days',
  heartbeatTimeout: '10 seconds',
  retry: resume,
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
})

/** A batch: its file is validated, its chunks are run, its files are written, however it ends. */
export async function batch({ batchId, deadlineAt }: BatchInput): Promise<void> {
  const state: BatchState = { total: 0, completed: 0, failed: 0 }
  const ending = await workUntil(Date.parse(deadlineAt), () => workOn(batchId, state))
  if (ending === undefined) return
  const ended = await CancellationScope.nonCancellable(() => finalize(batchId, ending, state))
  // The workflow is shown as canceled too, where it was asked to be.
  if (ended === 'cancelled' && CancellationScope.current().consideredCancelled) {
    throw new CancelledFailure('the batch was cancelled')
  }
}

async function finalize(batchId: string, workEnded: BatchEnding, state: BatchState): Promise<BatchEnding> {
  showDetails(batchDetails(batchId, 'finalizing', state))
  const summary = `write the files of ${batchId} (${workEnded})`
  const { ending, ...counts } = await files.finalizeBatch.executeWithOptions({ summary }, [batchId, workEnded])
  showDetails(batchDetails(batchId, ending, { ...state, ...counts }))
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
async function workOn(batchId: string, state: BatchState): Promise<BatchEnding | undefined> {
  showDetails(batchDetails(batchId, 'validating', state))
  const plan = await files.validateBatch.executeWithOptions({ summary: `read and price ${batchId}` }, [batchId])
  if (plan.outcome === 'failed') {
    showDetails(batchDetails(batchId, 'failed', state))
    return undefined
  }
  if (plan.outcome === 'cancelled') return 'cancelled'
  state.model = plan.model
  state.total = plan.total
  state.failed = plan.failed
  showDetails(batchDetails(batchId, 'in_progress', state))
  await inOrder(plan.chunkCount, index => runChunk(batchId, index, plan.chunkCount, state))
  return 'completed'
}

async function inOrder(count: number, run: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const lane = async () => {
    while (next < count) await run(next++)
  }
  await Promise.all(Array.from({ length: Math.min(CHUNKS_AT_ONCE, count) }, lane))
}

async function runChunk(batchId: string, index: number, chunkCount: number, state: BatchState): Promise<void> {
  const summary = `chunk ${index + 1} of ${chunkCount}`
  const now = await model.runBatchChunk.executeWithOptions({ summary }, [batchId, index])
  state.completed = Math.max(state.completed, now.completed)
  state.failed = Math.max(state.failed, now.failed)
  showDetails(batchDetails(batchId, 'in_progress', state))
}

function unlessCancelled(error: unknown): void {
  if (!isCancellation(error)) throw error
}
