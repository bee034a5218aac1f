import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common'
import type { JobContext } from '../../domain/durable/jobs/job-context.ts'
import { defineJob } from '../../domain/durable/jobs/define-job.ts'
import { endLostVideo, endVideo } from '../../domain/work/videos/video-end.ts'
import { pollVideo, storeVideo, submitVideo, type VideoRunDeps } from '../../domain/work/videos/video-run.ts'
import { pollAgainAfterMs, VIDEO_JOBS, type VideoEnding, type VideoStep } from '../../domain/work/videos/video.rules.ts'
import { asActivity } from '../durable/job-context.ts'

export const createVideoActivities = (deps: VideoRunDeps) => ({
  submitVideo: (videoId: string) => asActivity({ db: deps.db }, job => submitVideo(deps, job, videoId)),
  pollVideo: (videoId: string) => asActivity({ db: deps.db }, job => pollOnce(deps, job, videoId)),
  storeVideo: (videoId: string) => asActivity({ db: deps.db }, job => storeVideo(deps, job, videoId)),
  endVideo: (videoId: string, ending: VideoEnding, error: string) =>
    asActivity({ db: deps.db }, job => endVideo(deps, job.run, videoId, ending, error)),
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

export const videoJobs = defineJob<VideoRunDeps>({
  ...VIDEO_JOBS,
  activities: deps => {
    const { endVideo: end, ...ofProvider } = createVideoActivities(deps)
    return { 'provider-jobs': ofProvider, control: { endVideo: end } }
  },
  endLost: endLostVideo,
  endWaiting: (deps, run) => endVideo(deps, run, run.resourceId, 'cancelled', 'The job was cancelled.'),
})
