import type { Metrics } from '../../../infra/metrics.ts'
import type { Database, Transaction } from '../../../infra/postgres/database.ts'
import type { CallRecord } from '../../inference/calls/call.rules.ts'
import { countCall, recordCalls } from '../../inference/calls/call.service.ts'
import { usageView } from '../../inference/tokens/usage.rules.ts'
import type { Append, NewEvent } from '../../durable/event-log/event-log.rules.ts'
import { appendIn, claimLog } from '../../durable/event-log/event-log.service.ts'
import { appendEvent } from '../../durable/outbox/events.service.ts'
import { uuidOf } from '../../core/ids.ts'
import { LOSS_TEXT, type JobLoss, type JobRun } from '../../durable/jobs/jobs.rules.ts'
import { endRun, inRun, type RunTransaction } from '../../durable/jobs/run-transaction.ts'
import { releaseHold } from '../../money/ledger/ledger.service.ts'
import { usdNumber } from '../../money/ledger/money.rules.ts'
import { isEnded, type TurnEnding } from './turn.rules.ts'
import { selectTurnOfJob, setTurnEnded, type TurnView } from './turn.sql.ts'

/** Told of every turn that ends, in the transaction that ends it: what the turn was run for ends with it. */
export type TurnSettled = (tx: Transaction, turn: TurnView, end: TurnEnd) => Promise<void>

interface Deps {
  db: Database
  metrics: Metrics
  turnSettled: TurnSettled
}

export interface TurnEnd {
  ending: TurnEnding
  error: TurnView['error']
  /** The call to charge; undefined where no upstream was asked. */
  call: CallRecord | undefined
}

/** The events of an end: what was used, then the one that closes the log. */
export function endEvents({ ending, error, call }: TurnEnd): NewEvent[] {
  const used = call === undefined ? [] : [{ type: 'turn.usage', data: usageData(call) }]
  return [...used, { type: `turn.${ending}`, data: { lifecycle: ending, ...(error === null ? {} : { error }) } }]
}

const usageData = (call: CallRecord) => ({ usage: usageView(call.usage), cost_usd: usdNumber(call.costNanos) })

/**
 * Ends a turn in one transaction: charged, its hold released, its job ended, its log closed.
 * Errors: JobSuperseded where another run or attempt has it.
 */
export async function commitTurnEnd(
  deps: Deps,
  run: JobRun,
  turn: TurnView,
  end: TurnEnd,
  last: Append,
): Promise<void> {
  await endRun(deps.db, run, end.ending, tx => endTurnIn(deps, tx, turn, end, last))
  if (end.call !== undefined) countCall(deps.metrics, end.call)
}

async function endTurnIn(deps: Deps, tx: RunTransaction, turn: TurnView, end: TurnEnd, last: Append): Promise<void> {
  const owner = { userId: turn.user_id, projectId: turn.project_id }
  await appendIn(tx, last)
  await setTurnEnded(tx, turn.id, end.ending, end.error)
  await deps.turnSettled(tx, turn, end)
  appendEvent(tx, {
    owner,
    type: `turn.${end.ending}`,
    subject: turn.id,
    payload: { status: end.ending, model: turn.model, cost_usd: usdNumber(end.call?.costNanos ?? 0n) },
  })
  const { call } = end
  tx.atCommit(() =>
    Promise.all([call === undefined ? undefined : recordCalls(tx, [call]), releaseHold(tx, turn.id, owner)]),
  )
}

/** After every attempt of a run: its writer is newer than any that may still be at work. */
const LAST_ATTEMPT = 2 ** 30

/** Ends a turn that no attempt can end itself; nothing of it is charged. Harmless where it has ended. */
export async function endTurn(deps: Deps, run: JobRun, ending: TurnEnding, error: TurnView['error']): Promise<void> {
  const turn = await selectTurnOfJob(deps.db, run.resourceId)
  if (isEnded(turn.lifecycle)) return
  const writer = { logId: uuidOf(turn.id), run: run.run, attempt: LAST_ATTEMPT }
  await inRun(deps.db, run, tx => claimLog(tx, writer))
  const end: TurnEnd = { ending, error, call: undefined }
  await commitTurnEnd(deps, run, turn, end, { ...writer, step: 1, events: endEvents(end), closes: true })
}

/** Ends a turn whose workflow is gone. */
export const endLostTurn = (deps: Deps, run: JobRun, loss: JobLoss): Promise<void> =>
  loss === 'cancelled'
    ? endTurn(deps, run, 'canceled', null)
    : endTurn(deps, run, 'failed', { code: 'service_unavailable', message: LOSS_TEXT[loss], retryable: true })
