import { inTransaction, type Database, type Transaction } from '../../../infra/postgres/database.ts'
import type { SharedTransaction } from '../../../infra/postgres/shared-transaction.ts'
import { writtenJson } from '../../inference/threads/stored-json.ts'
import type { ThreadDeps } from '../../inference/threads/thread-work.ts'
import { requireUsableModel } from '../../inference/catalog/model-access.rules.ts'
import { requireChatRequest } from '../../inference/chat-request/chat.rules.ts'
import type { ChatCompletionRequest } from '../../inference/chat-request/chat.schema.ts'
import { requireWithinWindow } from '../../inference/chat/context-window.ts'
import { countedBoundOf } from '../../inference/chat/counted-bound.ts'
import { measuredChat } from '../../inference/chat/sent-chat.ts'
import { worstPriceOf } from '../../inference/chat-request/sent-chat.rules.ts'
import { withinCredit, type CostBounds } from '../../inference/calls/cost-bounds.ts'
import { badRequest, notFound, InsufficientCredit } from '../../core/errors.ts'
import type { LogState } from '../../durable/event-log/event-log.rules.ts'
import { openLog, requireLog } from '../../durable/event-log/event-log.service.ts'
import { createOnce, type Repeatable } from '../../tenancy/idempotency/create-once.ts'
import { newId, prefixedId, uuidOf } from '../../core/ids.ts'
import { cancelJob, startJob } from '../../durable/jobs/jobs.service.ts'
import { requireHold } from '../../money/ledger/ledger.service.ts'
import { withHold } from '../../money/leases/leases.ts'
import { usdText, type Nanos } from '../../money/ledger/money.rules.ts'
import { callPolicyOf } from '../../inference/provider-routes/call-policy.rules.ts'
import { planRoutes } from '../../inference/provider-routes/route-plan.ts'
import type { RoutingDeps } from '../../inference/provider-routes/routing.service.ts'
import type { RequireStorage } from '../../tenancy/storage/storage.service.ts'
import type { Caller, Owner } from '../../core/caller.rules.ts'
import { requireEnabledUser } from '../../tenancy/users/user.service.ts'
import { isStorable } from '../../core/text.rules.ts'
import { TURN_JOBS, isEnded, lifecycleEvent, type TurnInput, type TurnSurface } from './turn.rules.ts'
import type { AgentTurnCreateRequest, AgentTurnResponse } from './turn.schema.ts'
import { deleteEndedTurn, insertTurn, selectTurn, setCancelRequested, type TurnView } from './turn.sql.ts'

export interface TurnDeps extends RoutingDeps, ThreadDeps {
  db: Database
  sharedTransaction: SharedTransaction
  requireStorage: RequireStorage
}

/**
 * Makes a turn and answers at once: its workflow asks the model. With an idempotency key that was used before, the
 * same turn again. Errors: 400, 402 without the credit for its worst case, 403, 404, 409.
 */
export async function createTurn(
  deps: TurnDeps,
  caller: Caller,
  asked: AgentTurnCreateRequest,
  repeatable: Repeatable,
): Promise<AgentTurnResponse> {
  const turnId = newId('turn')
  const start = (tx: Transaction, admitted: AdmittedTurn) =>
    createOnce(tx, caller.owner, repeatable, {
      id: turnId,
      make: async () => {
        const turn = await startTurn(tx, caller, turnId, admitted, 'turn')
        return view(turn, { last_seq: 1n, removed_seq: 0n, closed_at: null })
      },
      again: async earlier => view(...(await requireTurn({ db: tx }, caller, uuidOf(earlier)))),
    })
  const [admitted] = await Promise.all([admitTurn(deps, caller, asked), deps.requireStorage(caller.owner.userId)])
  return startAdmitted(deps, caller, admitted, covered =>
    deps.sharedTransaction(caller.owner.userId, tx => start(tx, covered)),
  )
}

/** A turn that may be made. Its worst case is held until it ends. */
export interface AdmittedTurn extends CostBounds {
  model: string
  /** What the model is asked, as it is stored. */
  requestJson: string | Uint8Array
  /** What is held for, and goes upstream. */
  outputLimit: number
}

/**
 * Starts a turn within `withHold`, by its first bound, else by the closer one. Errors: the work's; 402.
 */
export async function startAdmitted<T>(
  deps: { db: Database },
  { owner: { userId } }: Caller,
  admitted: AdmittedTurn,
  start: (admitted: AdmittedTurn) => Promise<T>,
): Promise<T> {
  return withinCredit(admitted, worstCaseNanos =>
    withHold(deps.db, userId, () => start({ ...admitted, worstCaseNanos })),
  )
}

const TITLES: Record<TurnSurface, string> = { turn: 'agent turn', responses: 'background response' }

/** Makes a turn in the transaction of what it is run for, within `withHold`. Errors: 401; as it commits, 402. */
export async function startTurn(
  tx: Transaction,
  caller: Caller,
  turnId: string,
  { model, requestJson, outputLimit, worstCaseNanos }: AdmittedTurn,
  surface: TurnSurface,
): Promise<TurnView> {
  const enabled = requireEnabledUser(tx, caller.owner.userId)
  const job = startJob(tx, TURN_JOBS, {
    resourceId: turnId,
    owner: caller.owner,
    input: { turnId, model } satisfies TurnInput,
    summary: `${TITLES[surface]} of ${model}`,
    fileIds: [],
  })
  const inserted = insertTurn(tx, { id: turnId, caller, surface, model, requestJson, outputLimit })
  const log = openLog(tx, uuidOf(turnId), caller.owner.userId, lifecycleEvent('queued'))
  const [, , turn] = await Promise.all([enabled, job, inserted, log])
  tx.atCommit(() =>
    requireHold(tx, { resourceId: turnId, run: 1 }, caller.owner, worstCaseNanos, notCovered(worstCaseNanos)),
  )
  return turn
}

/** All that is refused before a turn exists. Errors: 400, 403, 404, 409. */
export async function admitTurn(
  deps: RoutingDeps & ThreadDeps,
  caller: Caller,
  asked: AgentTurnCreateRequest,
): Promise<AdmittedTurn> {
  const model = requireUsableModel(deps.catalog, asked.model, caller.rules)
  const chat = { ...asked, stream: true } as ChatCompletionRequest
  requireChatRequest(chat, model)
  if (!isStorable(asked)) throw badRequest('The request holds a NUL or an unpaired surrogate.', 'messages')
  const taskOwner = { tenant: caller.owner.userId }
  const sent = await measuredChat(deps, taskOwner, chat, model)
  const { request, limit: outputLimit } = sent
  const policy = callPolicyOf(request.metadata, caller.rules)
  const routes = await planRoutes(deps, { owner: caller.owner, model, policy })
  await requireWithinWindow(deps, taskOwner, request, model)
  const stored = {
    model: request.model,
    requestJson: await writtenJson(deps, taskOwner, request),
    outputLimit,
  }
  if (routes.every(route => route.credentialId !== undefined)) return { ...stored, worstCaseNanos: 0n }
  const counted = countedBoundOf(deps, taskOwner, sent, model)
  return { ...stored, worstCaseNanos: worstPriceOf(sent, 'standard'), counted }
}

const notCovered = (worstCase: Nanos) => (available: Nanos) =>
  new InsufficientCredit(
    `payment_required: this turn may cost up to ${usdText(worstCase)} USD and ${usdText(available > 0n ? available : 0n)} USD ` +
      'are free. Add credit, or ask for fewer output tokens with `max_completion_tokens`.',
    available,
  )

/** Errors: 404. */
export const getTurn = async (deps: { db: Database }, caller: Caller, requestId: string): Promise<AgentTurnResponse> =>
  view(...(await requireTurn(deps, caller, requestId)))

/** Stops a running turn; harmless where it has ended. Errors: 404. */
export async function cancelTurn(
  deps: { db: Database },
  caller: Caller,
  requestId: string,
): Promise<AgentTurnResponse> {
  return inTransaction(deps.db, async tx => {
    const [turn, log] = await requireTurn({ db: tx }, caller, requestId)
    const stopping = await stopTurn(tx, caller.owner, turn.id)
    return view(stopping ?? turn, log)
  })
}

/** Asks a turn to stop. Undefined where it has ended, or was asked to before. */
export async function stopTurn(tx: Transaction, owner: Owner, turnId: string): Promise<TurnView | undefined> {
  const stopping = await setCancelRequested(tx, owner, turnId)
  if (stopping !== undefined) await cancelJob(tx, turnId)
  return stopping
}

/** Forgets a turn that has ended; false where it runs. */
export const forgetTurn = (tx: Transaction, owner: Owner, turnId: string): Promise<boolean> =>
  deleteEndedTurn(tx, owner, turnId)

/** Undefined where there is no such turn. */
export const findTurn = (
  { db }: { db: Database },
  owner: Owner,
  turnId: string,
  surface: TurnSurface,
): Promise<TurnView | undefined> => selectTurn(db, owner, turnId, surface)

/** The turn and its log. Errors: 404. */
export async function requireTurn(
  { db }: { db: Parameters<typeof selectTurn>[0] },
  caller: Caller,
  requestId: string,
): Promise<[TurnView, LogState]> {
  const turnId = prefixedId('turn', requestId)
  const turn = turnId === undefined ? undefined : await selectTurn(db, caller.owner, turnId, 'turn')
  if (turn === undefined) throw notFound('agent turn', 'request_id')
  return [turn, await requireLog(db, uuidOf(turn.id))]
}

const RETRY_AFTER_SECONDS = 5

function view(turn: TurnView, log: LogState): AgentTurnResponse {
  const requestId = uuidOf(turn.id)
  const url = `/v1/agent-turns/${requestId}`
  return {
    object: 'agent_turn',
    request_id: requestId,
    lifecycle: turn.lifecycle,
    model: turn.model,
    latest_event_seq: Number(log.last_seq),
    full_event_replay_available: log.removed_seq === 0n,
    detail_url: url,
    events_url: `${url}/events`,
    replay_url: `${url}/events?after_event_seq=0`,
    cancel_url: `${url}/cancel`,
    request_history_url: `/v1/request-history/${requestId}`,
    ...(isEnded(turn.lifecycle) && turn.error !== null
      ? {
          retryable: turn.error.retryable,
          ...(turn.error.retryable ? { retry_after_seconds: RETRY_AFTER_SECONDS } : {}),
        }
      : {}),
  }
}
