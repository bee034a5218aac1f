import type { Chunk } from '../../../infra/upstreams/chunk.ts'
import { UpstreamFailure } from '../../../infra/upstreams/upstream.ts'
import { requireKnownModel } from '../../inference/catalog/model-access.rules.ts'
import type { Rates } from '../../inference/catalog/pricing.rules.ts'
import { ChatMeter } from '../../inference/chat/chat-call.ts'
import { chunkView, isUsageAlone } from '../../inference/chat/chunks.ts'
import type { ReplyHead } from '../../inference/chat/reply.rules.ts'
import { measuredChat } from '../../inference/chat/sent-chat.ts'
import { DomainError } from '../../core/errors.ts'
import { claimLog } from '../../durable/event-log/event-log.service.ts'
import { createEventWriter } from '../../durable/event-log/event-log.writer.ts'
import { uuidOf } from '../../core/ids.ts'
import type { JobContext } from '../../durable/jobs/job-context.ts'
import { inRun } from '../../durable/jobs/run-transaction.ts'
import { JobSuperseded } from '../../durable/jobs/superseded.ts'
import { callPolicyOf } from '../../inference/provider-routes/call-policy.rules.ts'
import { planRoutes } from '../../inference/provider-routes/route-plan.ts'
import { callForEvents, type RoutedCall } from '../../inference/provider-routes/routing.service.ts'
import { storedValue } from '../../inference/threads/stored-json.ts'
import { requestOf, type Attempt, type Outcome, type TurnRunDeps } from './attempt.ts'
import { ended, endAttempt } from './attempt-end.ts'
import { noteAttemptUncharged } from './attempt-record.ts'
import {
  deltaEvent,
  isEnded,
  lifecycleEvent,
  mergeDeltas,
  restartedEvent,
  type TurnEnded,
  type TurnEnding,
} from './turn.rules.ts'
import { beginAttempt, selectTurnOfJob, setLifecycle, type TurnRow, type TurnView } from './turn.sql.ts'

/** Times that a model may be asked for a turn, whatever ended the earlier ones. */
const MOST_ATTEMPTS = 4

/**
 * Runs an attempt of a turn: streams the model into the turn's log and ends the turn. What an earlier attempt wrote is
 * declared void first. Errors: JobSuperseded; a failure that another attempt may mend, or the abort of a process that
 * leaves.
 */
export async function runTurn(deps: TurnRunDeps, job: JobContext, turnId: string): Promise<TurnEnded> {
  const before = await selectTurnOfJob(deps.db, turnId)
  if (isEnded(before.lifecycle)) return endedAlready(before)
  const { turn, voidAfterSeq } = await begin(deps, job, turnId)
  const stop = new AbortController()
  const writer = createEventWriter({
    append: deps.appendEvents,
    writer: { logId: uuidOf(turn.id), run: job.run.run, attempt: job.attempt },
    merge: mergeDeltas,
    failed: error => stop.abort(error),
  })
  const model = requireKnownModel(deps.catalog, turn.model)
  const attempt: Attempt = {
    turn,
    model,
    job,
    writer,
    meter: new ChatMeter(requestOf(turn), model),
    startedAt: new Date(),
    signal: AbortSignal.any([job.signal, stop.signal]),
    answer: undefined,
    toolsCalled: false,
    firstTokenMs: null,
  }
  if (voidAfterSeq !== undefined) writer.add(restartedEvent(job.attempt, voidAfterSeq))
  try {
    return await endAttempt(deps, attempt, await stream(deps, attempt))
  } catch (error) {
    await noteAttemptUncharged(deps, attempt, error)
    throw error
  } finally {
    stop.abort(new Error('the attempt has ended'))
  }
}

/** Takes the turn and its log. Errors: JobSuperseded. */
async function begin(
  deps: TurnRunDeps,
  job: JobContext,
  turnId: string,
): Promise<{ turn: TurnRow; voidAfterSeq: number | undefined }> {
  const begun = await inRun(deps.db, job.run, async tx => {
    const log = await claimLog(tx, { logId: uuidOf(turnId), run: job.run.run, attempt: job.attempt })
    const before = await beginAttempt(tx, turnId, job.attempt, log.last_seq)
    const wroteSomething = before.attempt_seq !== null && before.attempt_seq < log.last_seq
    return { before, voidAfterSeq: wroteSomething ? Number(before.attempt_seq) : undefined }
  })
  const { request_json: json, ...view } = begun.before
  const taskOwner = { tenant: view.user_id, signal: job.signal }
  const request = json === null ? null : ((await storedValue(deps, taskOwner, json)) as TurnRow['request'])
  return { turn: { ...view, request }, voidAfterSeq: begun.voidAfterSeq }
}

/** Streams the model. Errors: what another attempt may mend. */
async function stream(deps: TurnRunDeps, attempt: Attempt): Promise<Outcome> {
  const { turn, job, writer } = attempt
  try {
    if (turn.lifecycle === 'cancel_requested') return { ending: 'canceled' }
    if (turn.attempts_begun >= MOST_ATTEMPTS) return { ending: 'failed', error: triedTooOften() }
    writer.add(lifecycleEvent('warming', { attempt: job.attempt }))
    const { routed, rates } = await routedCall(deps, attempt)
    writer.add(lifecycleEvent('running'))
    await writer.flush()
    const { events, route, fallbackCount } = await callForEvents(deps, routed)
    attempt.answer = { route, fallbackCount, rates }
    await appendDeltas(deps, attempt, events)
    return { ending: 'completed' }
  } catch (error) {
    return outcomeOfFailure(attempt, error)
  }
}

/** What was reserved goes upstream. */
async function routedCall(
  deps: TurnRunDeps,
  { turn, model, signal }: Attempt,
): Promise<{ routed: RoutedCall; rates: Rates }> {
  const request = requestOf(turn)
  const owner = { userId: turn.user_id, projectId: turn.project_id }
  const policy = callPolicyOf(request.metadata, turn.key_rules)
  const routes = await planRoutes(deps, { owner, model, policy })
  const taskOwner = { tenant: turn.user_id, signal }
  const { body, rates } = await measuredChat(deps, taskOwner, request, model, {
    reserved: turn.output_limit ?? undefined,
  })
  const path = '/chat/completions'
  return { routed: { requestId: uuidOf(turn.id), owner, model, policy, routes, path, body, signal }, rates }
}

async function appendDeltas(deps: TurnRunDeps, attempt: Attempt, events: AsyncIterable<Chunk[]>): Promise<void> {
  const { turn, writer, meter } = attempt
  const head: ReplyHead = {
    id: `chatcmpl-${uuidOf(turn.id)}`,
    created: Math.floor(turn.created_at.getTime() / 1000),
    model: turn.model,
  }
  let isFirst = true
  for await (const arrived of events) {
    for (const received of arrived) {
      if (meter.saw(received)) attempt.firstTokenMs ??= Date.now() - attempt.startedAt.getTime()
      if (isUsageAlone(received)) continue
      const chunk = chunkView(head, received)
      attempt.toolsCalled ||= callsTools(chunk)
      if (isFirst) setStreaming(deps, attempt)
      writer.add(deltaEvent(chunk))
      // The first word does not wait to be gathered with others; where it is not appended, the writer tells of it.
      if (isFirst) void writer.flush().catch(() => undefined)
      isFirst = false
    }
  }
}

function setStreaming({ db }: TurnRunDeps, { turn, job, writer }: Attempt): void {
  writer.add(lifecycleEvent('streaming'))
  void inRun(db, job.run, tx => setLifecycle(tx, turn.id, 'streaming')).catch(() => undefined)
}

const callsTools = ({ choices }: Pick<Chunk, 'choices'>): boolean =>
  (choices as { delta?: { tool_calls?: unknown } }[]).some(choice => choice.delta?.tool_calls !== undefined)

/** What a failure makes of the turn. Errors: the failure, where another attempt may mend it. */
function outcomeOfFailure(attempt: Attempt, error: unknown): Outcome {
  const { job, turn } = attempt
  if (error instanceof JobSuperseded) throw error
  if (job.isCancelled()) return { ending: 'canceled' }
  if (attempt.signal.aborted) throw attempt.signal.reason
  const failure = error instanceof UpstreamFailure ? interrupted(error) : error
  if (!(failure instanceof DomainError)) throw failure
  if (!failure.retryable) return { ending: 'failed', error: failure }
  if (turn.attempts_begun + 1 >= MOST_ATTEMPTS) return { ending: 'failed', error: failure }
  throw failure
}

const interrupted = (cause: UpstreamFailure): DomainError =>
  new DomainError(503, 'service_unavailable', 'The reply of the model broke off.', { type: 'upstream_error', cause })

const triedTooOften = (): DomainError =>
  new DomainError(503, 'service_unavailable', `The turn failed ${MOST_ATTEMPTS} times.`, { type: 'attempts_exhausted' })

const endedAlready = (turn: TurnView): TurnEnded => ended(turn.lifecycle as TurnEnding, turn.attempt, undefined)
