import type { Metrics } from '../../../infra/metrics.ts'
import type { Database } from '../../../infra/postgres/database.ts'
import { callRecord } from '../../inference/calls/call-record.rules.ts'
import type { CallRecord } from '../../inference/calls/call.rules.ts'
import { countCall, recordCalls } from '../../inference/calls/call.service.ts'
import { appendEvent } from '../../durable/outbox/events.service.ts'
import { uuidOf } from '../../core/ids.ts'
import { LOSS_TEXT, type JobLoss, type JobRun } from '../../durable/jobs/jobs.rules.ts'
import { endRun, type RunTransaction } from '../../durable/jobs/run-transaction.ts'
import { releaseHold } from '../../money/ledger/ledger.service.ts'
import { usdNumber } from '../../money/ledger/money.rules.ts'
import { isEnded, type VideoEnding } from './video.rules.ts'
import { selectVideoById, setVideoEnded, type VideoRow } from './video.sql.ts'

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
  const video = await selectVideoById(deps.db, videoId)
  if (video === undefined || isEnded(video.status)) return
  const record = recordOfVideo(video, ending, error)
  await endRun(deps.db, run, ending, async tx => {
    await endVideoIn(tx, video, ending, error)
    tx.atCommit(() => Promise.all([recordCalls(tx, [record]), releaseHold(tx, video.id, ownerOf(video))]))
  })
  countCall(deps.metrics, record)
}

async function endVideoIn(
  tx: RunTransaction,
  video: VideoRow,
  ending: VideoEnding,
  error: string | null,
): Promise<void> {
  await setVideoEnded(tx, video.id, ending, error)
  appendEvent(tx, {
    owner: ownerOf(video),
    type: `video.${ending}`,
    subject: video.id,
    payload: { status: ending, model: video.model, cost_usd: usdNumber(costOf(video, ending)) },
  })
}

const ownerOf = (video: VideoRow) => ({ userId: video.user_id, projectId: video.project_id })

const costOf = (video: VideoRow, ending: VideoEnding) => (ending === 'completed' ? (video.cost_nanos ?? 0n) : 0n)

/** A video is metered by its price alone: it has no tokens. */
function recordOfVideo(video: VideoRow, ending: VideoEnding, error: string | null): CallRecord {
  return callRecord(
    {
      id: uuidOf(video.id),
      owner: ownerOf(video),
      keyId: video.api_key_id,
      surface: 'videos',
      resourceId: video.id,
      model: video.model,
      requestedModel: video.asked_model,
      metadata: video.metadata,
      streamed: false,
      createdAt: video.created_at,
    },
    {
      status: ending === 'completed' ? 'completed' : ending === 'cancelled' ? 'canceled' : 'failed',
      errorCode: error === null ? null : `video_${ending}`,
      answer: video.provider === null ? undefined : { ...video.provider, upstream: { id: video.provider.upstream } },
      result: { usage: { input: 0, output: 0 }, source: 'upstream', costNanos: costOf(video, ending) },
      durationMs: Date.now() - video.created_at.getTime(),
    },
  )
}

/** Ends a video whose workflow is gone; nothing of it is charged. */
export const endLostVideo = (deps: Deps, run: JobRun, loss: JobLoss): Promise<void> =>
  endVideo(deps, run, run.resourceId, loss === 'cancelled' ? 'cancelled' : 'failed', LOSS_TEXT[loss])
