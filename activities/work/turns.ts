import type { CancelSignals } from '../../domain/durable/jobs/cancel-signals.ts'
import { defineJob } from '../../domain/durable/jobs/define-job.ts'
import type { TurnRunDeps } from '../../domain/work/turns/attempt.ts'
import { endLostTurn, endTurn } from '../../domain/work/turns/turn-end.ts'
import { runTurn } from '../../domain/work/turns/turn-run.ts'
import { TURN_JOBS, type TurnEnding } from '../../domain/work/turns/turn.rules.ts'
import { asActivity } from '../durable/job-context.ts'

export interface TurnActivityDeps extends TurnRunDeps {
  cancels: CancelSignals
}

const FAILED = { code: 'service_unavailable', message: 'The turn could not be run.', retryable: true }

export const createTurnActivities = (deps: TurnActivityDeps) => ({
  runTurn: (turnId: string) => asActivity(deps, job => runTurn(deps, job, turnId)),
  endTurn: (ending: TurnEnding) =>
    asActivity({ db: deps.db }, job => endTurn(deps, job.run, ending, ending === 'failed' ? FAILED : null)),
})

export type TurnActivities = ReturnType<typeof createTurnActivities>

/** What somebody waits for has its own queue, workflows and steps, in a process apart from batches. */
export const turnJobs = defineJob<TurnActivityDeps>({
  ...TURN_JOBS,
  activities: deps => ({ interactive: createTurnActivities(deps) }),
  endLost: endLostTurn,
  endWaiting: (deps, run) => endLostTurn(deps, run, 'cancelled'),
})
