import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common'
import type { JobContext } from '../domain/jobs/job-context.ts'
import { endVideo } from '../domain/videos/video-end.ts'
import { pollVideo, storeVideo, submitVideo, type VideoRunDeps } from '../domain/videos/video-run.ts'
import { pollAgainAfterMs, type VideoEnding, type VideoStep } from '../domain/videos/video.rules.ts'
import { asActivity } from './job-context.ts'

export const createVideoActivities = (deps: VideoRunDeps) => ({
  submitVideo: (videoId: string) => asActivity(undefined, job => submitVideo(deps, job, videoId)),
  pollVideo: (videoId: string) => asActivity(undefined, job => pollOnce(deps, job, videoId)),
  storeVideo: (videoId: string) => asActivity(undefined, job => storeVideo(deps, job, videoId)),
  endVideo: (videoId: string, ending: VideoEnding, error: string) =>
    asActivity(undefined, job => endVideo(deps, job.run, videoId, ending, error)),
})

/** One attempt is one look: a video that is still made is no failure, and Temporal keeps the time until the next. */
async function pollOnce(deps: VideoRunDeps, job: JobContext, videoId: string): Promise<VideoStep> {
  const step = await pollVideo(deps, job, videoId)
  if (step !== 'running') return step
  throw ApplicationFailure.create({
    message: 'the provider is still at it',
    type: 'StillRendering',
    nextRetryDelay: pollAgainAfterMs(job.attempt),
    category: ApplicationFailureCategory.BENIGN,
  })
}

export type VideoActivities = ReturnType<typeof createVideoActivities>
