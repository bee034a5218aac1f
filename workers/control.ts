import { createBatchActivities } from '../activities/batches.ts'
import { createRetentionActivities } from '../activities/retention.ts'
import { createVideoActivities } from '../activities/videos.ts'
import { createTurnActivities } from '../activities/turns.ts'
import { sweepEvents } from '../domain/event-log/retention.ts'
import { sweepResponses } from '../domain/responses/abandoned.ts'
import { endLostTurn } from '../domain/turns/turn-end.ts'
import { sweepReplies } from '../domain/chat/reply-cache.ts'
import { sweepKeptReplies } from '../domain/idempotency/kept-replies.ts'
import { sweepVideos } from '../domain/videos/retention.ts'
import { endLostVideo } from '../domain/videos/video-end.ts'
import { endLostBatch } from '../domain/batches/batch-end.ts'
import { releaseForgottenHolds } from '../domain/jobs/hold-repair.ts'
import { startMaintenance } from '../domain/jobs/maintenance.ts'
import { startReconciler } from '../domain/jobs/reconciler.ts'
import { startRelay } from '../domain/jobs/relay.ts'
import { startLostProcesses } from '../domain/calls/lost-processes.ts'
import { sweepFiles } from '../domain/files/file.service.ts'
import type { Config } from '../infra/config.ts'
import type { Log } from '../infra/log.ts'
import type { ObjectStore } from '../infra/objects/store.ts'
import { connectTemporal } from '../infra/temporal/connection.ts'
import { prepareNamespace } from '../infra/temporal/namespace.ts'
import { connectNative } from '../infra/temporal/native.ts'
import { ensureSchedules } from '../infra/temporal/schedules.ts'
import { createWorkflowClient } from '../infra/temporal/workflow-client.ts'
import { installRuntime, openWorkerDeps, runWorker, workflowCode, type RunningWorker } from './runtime.ts'

/** Runs the workflows and the steps that read and write whole files; with it the relay, the reconciler and the sweeps. */
export async function startControlWorker(config: Config, log: Log): Promise<RunningWorker> {
  installRuntime(log)
  const deps = await openWorkerDeps(config, log, 'control')
  const client = connectTemporal(config)
  await prepareNamespace(client, config.temporal.namespace, sentence => log.warn(sentence))
  await deps.objects.check()
  const native = await connectNative(config)
  const workflows = createWorkflowClient(client, config.temporal.namespace)
  const worker = await runWorker(config, native, {
    taskQueue: 'control',
    ...workflowCode(),
    activities: {
      ...createBatchActivities(deps),
      ...createTurnActivities(deps),
      ...createRetentionActivities(deps),
      ...createVideoActivities(deps),
    },
    maxConcurrentActivityTaskExecutions: 16,
  })
  await ensureSchedules(client, config.temporal.namespace)
  const loops = [
    startRelay({ ...deps, workflows }),
    startReconciler({
      ...deps,
      workflows,
      endLostJob: {
        batch: (run, loss) => endLostBatch(deps, run, loss),
        turn: (run, loss) => endLostTurn(deps, run, loss),
        video: (run, loss) => endLostVideo(deps, run, loss),
      },
    }),
    startLostProcesses({ ...deps, lostAfterMs: config.processLostMs }),
    startMaintenance({
      ...deps,
      sweeps: [
        () => sweepFiles(deps),
        () => sweepObjects(deps.objects),
        () => sweepReplies(deps),
        () => sweepKeptReplies(deps),
        () => sweepEvents(deps.db),
        () => sweepResponses(deps.db),
        () => sweepVideos(deps),
        () => releaseForgottenHolds(deps),
      ],
    }),
  ]
  const ended = worker.run()
  return {
    ended,
    stop: async () => {
      await Promise.all(loops.map(loop => loop.stop()))
      worker.shutdown()
      await ended
      await native.close()
      await client.close()
      await deps.close()
    },
  }
}

async function sweepObjects(objects: ObjectStore): Promise<boolean> {
  await objects.removeLeftovers()
  return false
}
