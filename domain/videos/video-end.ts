import type { Metrics } from '../../infra/metrics.ts'
import { inTransaction, type Database, type Transaction } from '../../infra/postgres/database.ts'
import type { ObjectStore } from '../../infra/objects/store.ts'
import type { CallRecord } from '../calls/call.rules.ts'
import { countCall, recordCalls } from '../calls/call.service.ts'
import { appendEvent } from '../events/events.service.ts'
import { uuidOf } from '../ids.ts'
import { LOSS_TEXT, type JobLoss, type JobRun } from '../jobs/jobs.rules.ts'
import { endJob } from '../jobs/jobs.service.ts'
import { JobSuperseded } from '../jobs/superseded.ts'
import { releaseHold } from '../ledger/ledger.service.ts'
import { usdNumber } from '../ledger/money.rules.ts'
import { isEnded, type VideoEnding } from './video.rules.ts'
import { forgetContent, selectOldContents, selectVideoById, setVideoEnded, type VideoRow } from './video.sql.ts'

interface Deps {
  db: Database
  metrics: Metrics
}

/**
 * Ends a video in one transaction: charged where it completed, its hold released, its job ended. Harmless where it has
 * ended. Errors: JobSuperseded where another run has it.
 */
export async function endVideo(
  deps: Deps,
  run: JobRun,
  videoId: string,
  ending: VideoEnding,
  error: string | null,
): Promise<void> {
  const call = await inTransaction(deps.db, async tx => {
    const video = await selectVideoById(tx, videoId)
    if (video === undefined || isEnded(video.status)) return undefined
    const record = callRecord(video, ending, error)
    await endVideoIn(tx, run, video, ending, error)
    tx.atCommit(() => Promise.all([recordCalls(tx, [record]), releaseHold(tx, video.id, ownerOf(video))]))
    return record
  })
  if (call !== undefined) countCall(deps.metrics, call)
}

async function endVideoIn(
  tx: Transaction,
  run: JobRun,
  video: VideoRow,
  ending: VideoEnding,
  error: string | null,
): Promise<void> {
  if (!(await endJob(tx, run, ending))) throw new JobSuperseded()
  await setVideoEnded(tx, video.id, ending, error)
  await appendEvent(tx, {
    owner: ownerOf(video),
    type: `video.${ending}`,
    resourceId: video.id,
    data: { status: ending, model: video.model, cost_usd: usdNumber(costOf(video, ending)) },
  })
}

const ownerOf = (video: VideoRow) => ({ userId: video.user_id, projectId: video.project_id })

const costOf = (video: VideoRow, ending: VideoEnding) => (ending === 'completed' ? (video.cost_nanos ?? 0n) : 0n)

/** A video is metered by its price alone: it has no tokens. */
function callRecord(video: VideoRow, ending: VideoEnding, error: string | null): CallRecord {
  const status = ending === 'completed' ? 'completed' : ending === 'cancelled' ? 'canceled' : 'failed'
  return {
    id: uuidOf(video.id),
    owner: ownerOf(video),
    keyId: video.api_key_id,
    surface: 'videos',
    resourceId: video.id,
    model: video.model,
    requestedModel: video.asked_model,
    metadata: video.metadata,
    replayOf: null,
    upstream: video.provider?.upstream ?? null,
    upstreamModel: video.provider?.model ?? null,
    providerBilled: false,
    credentialId: null,
    status,
    errorCode: error === null ? null : `video_${ending}`,
    streamed: false,
    usage: { input: 0, output: 0 },
    usageSource: 'upstream',
    costNanos: costOf(video, ending),
    cacheHit: false,
    fallbackCount: 0,
    durationMs: Date.now() - video.created_at.getTime(),
    firstTokenMs: null,
    createdAt: video.created_at,
  }
}

/** Ends a video whose workflow is gone; nothing of it is charged. */
export const endLostVideo = (deps: Deps, run: JobRun, loss: JobLoss): Promise<void> =>
  endVideo(deps, run, run.resourceId, loss === 'cancelled' ? 'cancelled' : 'failed', LOSS_TEXT[loss])

const RETENTION_DAYS = 30
const AT_ONCE = 50

/** Removes videos past their retention; true where there may be more. */
export async function sweepVideos(deps: { db: Database; objects: ObjectStore }): Promise<boolean> {
  return inTransaction(deps.db, async tx => {
    const old = await selectOldContents(tx, RETENTION_DAYS, AT_ONCE)
    for (const { id, content } of old) {
      await deps.objects.delete(content.key)
      await forgetContent(tx, id)
    }
    return old.length === AT_ONCE
  })
}
