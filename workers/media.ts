import { createVideoActivities } from '../activities/videos.ts'
import type { Config } from '../infra/config.ts'
import type { Log } from '../infra/log.ts'
import { connectNative } from '../infra/temporal/native.ts'
import { installRuntime, openWorkerDeps, runWorker, type RunningWorker } from './runtime.ts'

/** Runs the steps of long provider jobs: asking, looking, copying their outcome to our store. */
export async function startMediaWorker(config: Config, log: Log): Promise<RunningWorker> {
  installRuntime(log)
  const deps = await openWorkerDeps(config, log, 'media')
  const native = await connectNative(config)
  const { submitVideo, pollVideo, storeVideo } = createVideoActivities(deps)
  const worker = await runWorker(config, native, {
    taskQueue: 'media',
    activities: { submitVideo, pollVideo, storeVideo },
    maxConcurrentActivityTaskExecutions: 50,
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
