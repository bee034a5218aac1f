import { sweepEvents } from '../domain/durable/event-log/retention.ts'
import { sweepResponses } from '../domain/inference/responses/abandoned.ts'
import { sweepReplies } from '../domain/inference/chat/reply-cache.ts'
import { sweepKeptReplies } from '../domain/tenancy/idempotency/kept-replies.ts'
import { sweepVideos } from '../domain/work/videos/retention.ts'
import { releaseOrphanedHolds } from '../domain/money/ledger/hold-repair.ts'
import { startDispatch, type EventSubscriber } from '../domain/durable/outbox/dispatch.ts'
import { announceLowCredit } from '../domain/money/ledger/low-credit.ts'
import { startMaintenance } from '../domain/durable/jobs/maintenance.ts'
import type { JobLoss, JobRun } from '../domain/durable/jobs/jobs.rules.ts'
import { startReconciler } from '../domain/durable/jobs/reconciler.ts'
import { startRelay } from '../domain/durable/jobs/relay.ts'
import { startLostProcesses } from '../domain/inference/calls/lost-processes.ts'
import { sweepFiles } from '../domain/work/files/file.service.ts'
import { sweepStorageParts } from '../domain/tenancy/storage/storage.service.ts'
import type { Config } from '../infra/config.ts'
import type { ObjectStore } from '../infra/objects/store.ts'
import { connectTemporal } from '../infra/temporal/connection.ts'
import { prepareNamespace } from '../infra/temporal/namespace.ts'
import { ensureSchedules } from '../infra/temporal/schedules.ts'
import { createWorkflowClient } from '../infra/temporal/workflow-client.ts'
import { JOBS } from './jobs.ts'
import type { WorkerDeps } from './runtime.ts'

interface Control {
  client: ReturnType<typeof connectTemporal>
}

/** What must be right before anything is begun. Errors: ConfigError. */
export async function prepareControl(deps: WorkerDeps, config: Config): Promise<Control> {
  const client = connectTemporal(config)
  await prepareNamespace(client, config.temporal.namespace, sentence => deps.log.warn(sentence))
  return { client }
}

/** Features that act on what others tell: events are dispatched while there are any. */
const SUBSCRIBERS: readonly EventSubscriber[] = []

/** Starts the relay, the reconciler and the sweeps. */
export async function startControlLoops(deps: WorkerDeps, config: Config, { client }: Control): Promise<Stoppable> {
  const { namespace } = config.temporal
  const workflows = createWorkflowClient(client, namespace)
  await ensureSchedules(client, namespace)
  const jobs = JOBS.map(job => ({
    ...job,
    endLost: (run: JobRun, loss: JobLoss) => job.endLost(deps, run, loss),
    endWaiting: (run: JobRun) => job.endWaiting(deps, run),
  }))
  const loops = [
    startRelay({ ...deps, workflows, jobs }),
    startReconciler({ ...deps, workflows, jobs }),
    startDispatch({ ...deps, subscribers: SUBSCRIBERS }),
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
        () => releaseOrphanedHolds(deps),
        () => announceLowCredit(deps),
        () => sweepStorageParts(deps),
      ],
    }),
  ]
  return { stop: async () => void (await Promise.all(loops.map(loop => loop.stop()))) }
}

interface Stoppable {
  stop(): Promise<void>
}

async function sweepObjects(objects: ObjectStore): Promise<boolean> {
  await objects.removeLeftovers()
  return false
}
