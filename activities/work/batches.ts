import { endLostBatch, endWaitingBatch, finalizeBatch } from '../../domain/work/batches/batch-end.ts'
import { BATCH_JOBS, type BatchEnding } from '../../domain/work/batches/batch.rules.ts'
import { validateBatch } from '../../domain/work/batches/batch-validation.ts'
import { runBatchChunk, type ChunkDeps } from '../../domain/work/batches/chunk-run.ts'
import type { CancelSignals } from '../../domain/durable/jobs/cancel-signals.ts'
import { defineJob } from '../../domain/durable/jobs/define-job.ts'
import { asActivity } from '../durable/job-context.ts'

export interface BatchActivityDeps extends ChunkDeps {
  cancels: CancelSignals
}

export const createBatchActivities = (deps: BatchActivityDeps) => ({
  validateBatch: (batchId: string) => asActivity(deps, job => validateBatch(deps, job, batchId)),
  runBatchChunk: (batchId: string, chunkIndex: number) =>
    asActivity(deps, job => runBatchChunk(deps, job, batchId, chunkIndex)),
  finalizeBatch: (batchId: string, ending: BatchEnding) =>
    asActivity({ db: deps.db }, job => finalizeBatch(deps, job, batchId, ending)),
})

export type BatchActivities = ReturnType<typeof createBatchActivities>

/** Whole files are read and written apart from chunks, of which a process may have hundreds. */
export const batchJobs = defineJob<BatchActivityDeps>({
  ...BATCH_JOBS,
  activities: deps => {
    const { runBatchChunk, validateBatch, finalizeBatch: finalize } = createBatchActivities(deps)
    return { model: { runBatchChunk }, files: { validateBatch, finalizeBatch: finalize } }
  },
  endLost: endLostBatch,
  endWaiting: endWaitingBatch,
})
