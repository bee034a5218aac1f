import { isTransientDatabaseError } from '../../infra/postgres/sqlstate.ts'
import { answeredFields, type CallRecord } from '../calls/call.rules.ts'
import { NOTHING_USED } from '../calls/model-call.ts'
import type { ContentPolicy } from '../capture/capture.rules.ts'
import { keptContent } from '../capture/content.service.ts'
import { contentPolicyOf } from '../capture/policy.service.ts'
import { requireKnownModel } from '../catalog/model-access.rules.ts'
import { priceOfCall } from '../catalog/pricing.rules.ts'
import { uuidOf } from '../ids.ts'
import { JobSuperseded } from '../jobs/superseded.ts'
import { usdNumber } from '../ledger/money.rules.ts'
import { requestOf, type Attempt, type Outcome, type TurnRunDeps } from './attempt.ts'
import { commitTurnEnd, endEvents, type TurnEnd } from './turn-end.ts'
import { lifecycleEvent, type TurnEnded, type TurnEnding } from './turn.rules.ts'
import { addUncharged, type TurnView } from './turn.sql.ts'

/** Tells operators of what an attempt used upstream that nobody is charged for. */
export async function noteUncharged(
  deps: TurnRunDeps,
  { turn, answer, meter }: Attempt,
  error: unknown,
): Promise<void> {
  if (answer === undefined || answer.route.credentialId !== undefined) return
  const nanos = priceOfCall(requireKnownModel(deps.catalog, turn.model).price, meter.estimate().usage, 'standard')
  const fields = { turnId: turn.id, attempt: turn.attempts_begun + 1, upstream: answer.route.upstream.id }
  deps.log.error({ ...fields, costUsd: usdNumber(nanos), err: error }, 'an attempt of a turn was paid and not charged')
  deps.metrics.unchargedUsd.inc({ upstream: answer.route.upstream.id }, usdNumber(nanos))
  await addUncharged(deps.db, turn.id, nanos).catch((cause: unknown) =>
    deps.log.error({ ...fields, err: cause }, 'what was paid for an attempt could not be noted'),
  )
}

/** Ends the turn as the attempt did. Errors: JobSuperseded, or a database that is away. */
export async function endAttempt(deps: TurnRunDeps, attempt: Attempt, outcome: Outcome): Promise<TurnEnded> {
  const { turn, job, writer } = attempt
  const owner = { userId: turn.user_id, projectId: turn.project_id }
  const call = await callRecord(deps, attempt, outcome, await contentPolicyOf(deps, owner))
  const turnEnd: TurnEnd = { ending: outcome.ending, error: errorOf(outcome), call }
  if (outcome.ending === 'completed' && attempt.toolsCalled) writer.add(lifecycleEvent('tooling'))
  const refused = await commitOrFail(deps, attempt, turnEnd)
  if (refused !== undefined) return ended(refused, job.attempt, undefined)
  if (outcome.ending === 'failed') await noteUncharged(deps, attempt, outcome.error)
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
    await noteUncharged(deps, attempt, error)
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

/** The last attempt's call; a failed turn costs nothing, since what it wrote is not complete. */
async function callRecord(
  deps: TurnRunDeps,
  attempt: Attempt,
  outcome: Outcome,
  contentPolicy: ContentPolicy | null,
): Promise<CallRecord> {
  const { turn, answer } = attempt
  const asker = { tenant: turn.user_id }
  const model = requireKnownModel(deps.catalog, turn.model)
  const isPaid = answer !== undefined && outcome.ending !== 'failed'
  const { usage, source } = isPaid ? await attempt.meter.result(deps.threadWork, asker) : NOTHING_USED
  const answered = answeredFields(answer?.route)
  return {
    ...answered,
    id: uuidOf(turn.id),
    owner: { userId: turn.user_id, projectId: turn.project_id },
    keyId: turn.api_key_id,
    surface: turn.surface,
    resourceId: turn.id,
    model: model.id,
    requestedModel: turn.model,
    metadata: turn.request?.metadata ?? null,
    replayOf: null,
    status: outcome.ending,
    errorCode: outcome.ending === 'failed' ? (outcome.error.type ?? outcome.error.code) : null,
    streamed: true,
    usage,
    usageSource: source,
    costNanos: answered.providerBilled ? 0n : priceOfCall(model.price, usage, 'standard'),
    cacheHit: false,
    fallbackCount: answer?.fallbackCount ?? 0,
    durationMs: Date.now() - attempt.startedAt.getTime(),
    firstTokenMs: attempt.firstTokenMs,
    createdAt: turn.created_at,
    content: await keptContent(deps, asker, contentPolicy, {
      requestId: uuidOf(turn.id),
      request: requestOf(turn),
      reply: attempt.meter.reply,
      at: turn.created_at,
    }),
  }
}

/** What is told of an end. */
export const ended = (ending: TurnEnding, attempt: number, usage: CallRecord['usage'] | undefined): TurnEnded => ({
  ending,
  attempt,
  tokensIn: usage?.input ?? 0,
  tokensOut: usage?.output ?? 0,
})
