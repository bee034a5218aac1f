import {
  CancellationScope,
  isCancellation,
  proxyActivities,
  TimeoutFailure,
  ActivityFailure,
} from '@temporalio/workflow'
import type { VideoActivities } from '../../activities/work/videos.ts'
import { videoDetails, type VideoEnding, type VideoInput } from '../../domain/work/videos/video.rules.ts'
import { showDetails } from '../durable/details.ts'
import { resume, farApart, untilSuccess } from '../durable/retry-policies.ts'

const submit = proxyActivities<VideoActivities>({
  taskQueue: 'provider-jobs',
  startToCloseTimeout: '15 minutes',
  scheduleToCloseTimeout: '1 hour',
  heartbeatTimeout: '20 seconds',
  retry: farApart,
})

/** An attempt is one look; how far apart they are, each of them says. */
const poll = proxyActivities<VideoActivities>({
  taskQueue: 'provider-jobs',
  startToCloseTimeout: '1 minute',
  scheduleToCloseTimeout: '6 hours',
  heartbeatTimeout: '20 seconds',
  retry: resume,
})

const store = proxyActivities<VideoActivities>({
  taskQueue: 'provider-jobs',
  startToCloseTimeout: '1 hour',
  scheduleToCloseTimeout: '6 hours',
  heartbeatTimeout: '20 seconds',
  retry: resume,
})

const control = proxyActivities<VideoActivities>({
  taskQueue: 'control',
  startToCloseTimeout: '1 minute',
  scheduleToCloseTimeout: '1 day',
  heartbeatTimeout: '20 seconds',
  retry: untilSuccess,
})

/** A provider's long job: asked for, looked at until it is done, copied to our store. Each step may end it. */
export async function video(input: VideoInput): Promise<void> {
  const { videoId } = input
  const steps = [
    ['submitting', () => submit.submitVideo.executeWithOptions({ summary: `submit ${videoId}` }, [videoId])],
    ['rendering', () => poll.pollVideo.executeWithOptions({ summary: `look at ${videoId}` }, [videoId])],
    ['storing', () => store.storeVideo.executeWithOptions({ summary: `store ${videoId}` }, [videoId])],
  ] as const
  try {
    for (const [phase, step] of steps) {
      showDetails(videoDetails(input, phase))
      if ((await step()) === 'ended') break
    }
    showDetails(videoDetails(input, 'ended'))
  } catch (error) {
    const [ending, why] = endingOf(error)
    showDetails(videoDetails(input, ending))
    const summary = `end ${videoId} as ${ending}`
    await CancellationScope.nonCancellable(() =>
      control.endVideo.executeWithOptions({ summary }, [videoId, ending, why]),
    )
    if (isCancellation(error)) throw error
  }
}

/** How a video ends that no step could end itself. */
function endingOf(error: unknown): [VideoEnding, string] {
  if (isCancellation(error)) return ['cancelled', 'The job was cancelled.']
  const isLate = error instanceof ActivityFailure && error.cause instanceof TimeoutFailure
  return isLate
    ? ['expired', 'The provider did not finish in time.']
    : ['failed', 'The video could not be made: the provider kept failing.']
}
