import type { RetryPolicy } from '@temporalio/common'

/** Failures that another attempt cannot mend: another run has the job. */
const SUPERSEDED = ['JobSuperseded']

/** For steps that must succeed sooner or later: databases and stores come back. Bounded by scheduleToCloseTimeout. */
export const untilSuccess: RetryPolicy = {
  initialInterval: '1 second',
  backoffCoefficient: 2,
  maximumInterval: '30 seconds',
  nonRetryableErrorTypes: SUPERSEDED,
}

/** For effects that may have happened though no answer came: far apart, so that the few that are allowed outlive an outage. */
export const farApart: RetryPolicy = {
  initialInterval: '2 seconds',
  backoffCoefficient: 4,
  maximumInterval: '5 minutes',
  nonRetryableErrorTypes: SUPERSEDED,
}

/** For steps that carry on where the last attempt stopped: a killed worker's work is taken over at once. */
export const resume: RetryPolicy = {
  initialInterval: '500 milliseconds',
  backoffCoefficient: 2,
  maximumInterval: '15 seconds',
  nonRetryableErrorTypes: SUPERSEDED,
}
