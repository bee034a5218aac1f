import { finalizeBatch } from '../domain/batches/batch-end.ts'
import type { BatchEnding } from '../domain/batches/batch.rules.ts'
import { validateBatch } from '../domain/batches/batch-validation.ts'
import { runBatchChunk, type ChunkDeps } from '../domain/batches/chunk-run.ts'
import type { CancelSignals } from '../domain/jobs/cancel-signals.ts'
import { asActivity } from './job-context.ts'

export interface BatchActivityDeps extends ChunkDeps {
  cancels: CancelSignals
}

export const createBatchActivities = (deps: BatchActivityDeps) => ({
  validateBatch: (batchId: string) => asActivity(deps.cancels, job => validateBatch(deps, job, batchId)),
  runBatchChunk: (batchId: string, chunkIndex: number) =>
    asActivity(deps.cancels, job => runBatchChunk(deps, job, batchId, chunkIndex)),
  finalizeBatch: (batchId: string, ending: BatchEnding) =>
    asActivity(undefined, job => finalizeBatch(deps, job, batchId, ending)),
})

export type BatchActivities = ReturnType<typeof createBatchActivities>
