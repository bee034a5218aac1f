import { callRecord } from '../../inference/calls/call-record.rules.ts'
import { NOTHING_USED, type CallRecord } from '../../inference/calls/call.rules.ts'
import type { ContentPolicy } from '../../core/caller.rules.ts'
import { keptContent } from '../../inference/capture/content.service.ts'
import { priceOfCall } from '../../inference/catalog/pricing.rules.ts'
import { uuidOf } from '../../core/ids.ts'
import { noteUncharged } from '../../money/ledger/uncharged.ts'
import { requestOf, type Attempt, type Outcome, type TurnRunDeps } from './attempt.ts'

/** The last attempt's call; a failed turn costs nothing, since what it wrote is not complete. */
export async function recordOfTurn(
  deps: TurnRunDeps,
  attempt: Attempt,
  outcome: Outcome,
  contentPolicy: ContentPolicy | null,
): Promise<CallRecord> {
  const { turn, model, answer, meter } = attempt
  const { metadata = null } = requestOf(turn)
  const id = uuidOf(turn.id)
  const taskOwner = { tenant: turn.user_id }
  const isPaid = answer !== undefined && outcome.ending !== 'failed'
  const used = isPaid ? await meter.result(deps.threadWork, taskOwner) : NOTHING_USED
  const kept = { requestId: id, request: requestOf(turn), reply: meter.reply, at: turn.created_at }
  return callRecord(
    {
      id,
      owner: { userId: turn.user_id, projectId: turn.project_id },
      keyId: turn.api_key_id,
      surface: turn.surface,
      resourceId: turn.id,
      model: model.id,
      requestedModel: turn.model,
      metadata,
      streamed: true,
      createdAt: turn.created_at,
    },
    {
      status: outcome.ending,
      errorCode: outcome.ending === 'failed' ? (outcome.error.type ?? outcome.error.code) : null,
      answer: answer?.route,
      fallbackCount: answer?.fallbackCount,
      result: { ...used, content: await keptContent(deps, taskOwner, contentPolicy, kept) },
      price: answer === undefined ? undefined : { rates: answer.rates, tier: 'standard' },
      durationMs: Date.now() - attempt.startedAt.getTime(),
      firstTokenMs: attempt.firstTokenMs,
    },
  )
}

/** Tells operators of what a failed attempt used upstream; nothing where the caller's own key paid for it. */
export async function noteAttemptUncharged(
  deps: TurnRunDeps,
  { turn, answer, meter }: Attempt,
  error: unknown,
): Promise<void> {
  if (answer === undefined || answer.route.credentialId !== undefined) return
  await noteUncharged(deps, {
    resourceId: turn.id,
    upstream: answer.route.upstream.id,
    nanos: priceOfCall(answer.rates, meter.estimate().usage, 'standard'),
    error,
    of: { attempt: turn.attempts_begun + 1 },
  })
}
