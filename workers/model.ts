import { createBatchActivities } from '../activities/batches.ts'
import { createTurnActivities } from '../activities/turns.ts'
import type { Config } from '../infra/config.ts'
import type { Log } from '../infra/log.ts'
import { connectNative } from '../infra/temporal/native.ts'
import { installRuntime, openWorkerDeps, runWorker, type RunningWorker } from './runtime.ts'

/** Runs the steps that call models. As many processes as the upstreams can take. */
export async function startModelWorker(config: Config, log: Log): Promise<RunningWorker> {
  installRuntime(log)
  const deps = await openWorkerDeps(config, log, 'model')
  const native = await connectNative(config)
  const { runBatchChunk } = createBatchActivities(deps)
  const { runTurn } = createTurnActivities(deps)
  const worker = await runWorker(config, native, {
    taskQueue: 'model',
    activities: { runBatchChunk, runTurn },
    // Chunks wait cheaply: the gate bounds the calls, and every tenant's chunks must get to it.
    maxConcurrentActivityTaskExecutions: 500,
  })
  const ended = worker.run()
  return {
    ended,
    stop: async () => {
      worker.shutdown()
      await ended
      await native.close()
      await deps.close()
    },
  }
}
