import { setTimeout as delay } from 'node:timers/promises'
import { isTerminal } from '../../domain/work/batches/batch.rules.ts'
import type { BatchDetail } from '../../domain/work/batches/batch.schema.ts'
import type { DemoClient } from './client.ts'
import type { Progress } from './progress.ts'

const LOOK_EVERY_MS = 250
/** A batch ends by its deadline; its files may take a moment longer. */
const PAST_DEADLINE_MS = 120_000

/** Polls the batch until it has ended. */
export async function watchBatch(client: DemoClient, batchId: string, progress: Progress): Promise<BatchDetail> {
  try {
    for (;;) {
      const batch = await client.getBatch(batchId)
      progress.show(batch)
      if (isTerminal(batch.status)) return batch
      if (Date.now() > Date.parse(batch.deadline_at) + PAST_DEADLINE_MS) {
        throw new Error(`${batchId} is still ${batch.status} after its deadline: do the workers run?`)
      }
      await delay(LOOK_EVERY_MS)
    }
  } finally {
    progress.end()
  }
}
