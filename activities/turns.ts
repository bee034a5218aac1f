import type { CancelSignals } from '../domain/jobs/cancel-signals.ts'
import { endTurn } from '../domain/turns/turn-end.ts'
import type { TurnRunDeps } from '../domain/turns/attempt.ts'
import { runTurn } from '../domain/turns/turn-run.ts'
import type { TurnEnding } from '../domain/turns/turn.rules.ts'
import { asActivity } from './job-context.ts'

export interface TurnActivityDeps extends TurnRunDeps {
  cancels: CancelSignals
}

const FAILED = { code: 'service_unavailable', message: 'The turn could not be run.', retryable: true }

export const createTurnActivities = (deps: TurnActivityDeps) => ({
  runTurn: (turnId: string) => asActivity(deps.cancels, job => runTurn(deps, job, turnId)),
  endTurn: (ending: TurnEnding) =>
    asActivity(undefined, job => endTurn(deps, job.run, ending, ending === 'failed' ? FAILED : null)),
})

export type TurnActivities = ReturnType<typeof createTurnActivities>
