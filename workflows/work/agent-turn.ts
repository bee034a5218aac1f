import {
  ActivityCancellationType,
  CancellationScope,
  CancelledFailure,
  isCancellation,
  proxyActivities,
} from '@temporalio/workflow'
import type { TurnActivities } from '../../activities/work/turns.ts'
import { turnDetails, type TurnEnded, type TurnEnding, type TurnInput } from '../../domain/work/turns/turn.rules.ts'
import { showDetails } from '../durable/details.ts'
import { resume, untilSuccess } from '../durable/retry-policies.ts'

const model = proxyActivities<TurnActivities>({
  taskQueue: 'interactive',
  startToCloseTimeout: '2 hours',
  scheduleToCloseTimeout: '1 day',
  heartbeatTimeout: '10 seconds',
  retry: resume,
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
})

const control = proxyActivities<TurnActivities>({
  taskQueue: 'interactive',
  startToCloseTimeout: '1 minute',
  scheduleToCloseTimeout: '1 day',
  heartbeatTimeout: '20 seconds',
  retry: untilSuccess,
})

/** An agent's turn: the model is streamed into the turn's log, again from the start where an attempt is lost. */
export async function agentTurn(input: TurnInput): Promise<void> {
  showDetails(turnDetails(input, 'running'))
  const ended = await runToItsEnd(input.turnId)
  const ending = typeof ended === 'string' ? ended : ended.ending
  showDetails(turnDetails(input, ending, typeof ended === 'string' ? undefined : ended))
  // The workflow is shown as canceled too, where it was asked to be.
  if (ending === 'canceled' && CancellationScope.current().consideredCancelled) {
    throw new CancelledFailure('the turn was canceled')
  }
}

/** A step that cannot end the turn itself has it ended for it. */
async function runToItsEnd(turnId: string): Promise<TurnEnded | TurnEnding> {
  try {
    return await model.runTurn.executeWithOptions({ summary: `stream ${turnId}` }, [turnId])
  } catch (error) {
    const ending = isCancellation(error) ? 'canceled' : 'failed'
    const summary = `end ${turnId} as ${ending}`
    await CancellationScope.nonCancellable(() => control.endTurn.executeWithOptions({ summary }, [ending]))
    return ending
  }
}
