import { isTransientDatabaseError } from '../../../infra/postgres/sqlstate.ts'
import type { TokenUsage } from '../../inference/tokens/token-usage.rules.ts'
import { contentPolicyOf } from '../../inference/capture/policy.service.ts'
import { JobSuperseded } from '../../durable/jobs/superseded.ts'
import type { Attempt, Outcome, TurnRunDeps } from './attempt.ts'
import { noteAttemptUncharged, recordOfTurn } from './attempt-record.ts'
import { commitTurnEnd, endEvents, type TurnEnd } from './turn-end.ts'
import { lifecycleEvent, type TurnEnded, type TurnEnding } from './turn.rules.ts'
import type { TurnView } from './turn.sql.ts'

/** Ends the turn as the attempt did. Errors: JobSuperseded, or a database that is away. */
export async function endAttempt(deps: TurnRunDeps, attempt: Attempt, outcome: Outcome): Promise<TurnEnded> {
  const { turn, job, writer } = attempt
  const owner = { userId: turn.user_id, projectId: turn.project_id }
  const call = await recordOfTurn(deps, attempt, outcome, await contentPolicyOf(deps, owner))
  const turnEnd: TurnEnd = { ending: outcome.ending, error: errorOf(outcome), call }
  if (outcome.ending === 'completed' && attempt.toolsCalled) writer.add(lifecycleEvent('tooling'))
  const refused = await commitOrFail(deps, attempt, turnEnd)
  if (refused !== undefined) return ended(refused, job.attempt, undefined)
  if (outcome.ending === 'failed') await noteAttemptUncharged(deps, attempt, outcome.error)
  return ended(outcome.ending, job.attempt, call?.usage)
}

/**
 * An end that the database refuses would be refused to every attempt, each of which is paid: the turn ends without its
 * call, and how is given. Errors: JobSuperseded, or a database that is away.
 */
async function commitOrFail(deps: TurnRunDeps, attempt: Attempt, end: TurnEnd): Promise<TurnEnding | undefined> {
  const { turn, job, writer } = attempt
  const last = await writer.lastAppend(endEvents(end))
  try {
    return void (await commitTurnEnd(deps, job.run, turn, end, last))
  } catch (error) {
    if (error instanceof JobSuperseded || isTransientDatabaseError(error)) throw error
    deps.log.error({ turnId: turn.id, err: error }, 'the end of a turn could not be stored')
    const without: TurnEnd = end.ending === 'canceled' ? { ...end, call: undefined } : NOT_STORED
    await commitTurnEnd(deps, job.run, turn, without, { ...last, events: endEvents(without) })
    await noteAttemptUncharged(deps, attempt, error)
    return without.ending
  }
}

const NOT_STORED: TurnEnd = {
  ending: 'failed',
  error: { code: 'service_unavailable', message: 'The reply could not be stored. Try again.', retryable: true },
  call: undefined,
}

const errorOf = (outcome: Outcome): TurnView['error'] =>
  outcome.ending === 'failed'
    ? { code: outcome.error.code, message: outcome.error.message, retryable: outcome.error.retryable }
    : null

/** What is told of an end. */
export const ended = (ending: TurnEnding, attempt: number, usage: TokenUsage | undefined): TurnEnded => ({
  ending,
  attempt,
  tokensIn: usage?.input ?? 0,
  tokensOut: usage?.output ?? 0,
})
