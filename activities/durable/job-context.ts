import { ApplicationFailure, CancelledFailure, Context } from '@temporalio/activity'
import { DomainError } from '../../domain/core/errors.ts'
import type { JobContext } from '../../domain/durable/jobs/job-context.ts'
import { jobRunOf } from '../../domain/durable/jobs/jobs.rules.ts'
import { touchJob } from '../../domain/durable/jobs/jobs.service.ts'
import type { Database } from '../../infra/postgres/database.ts'
import type { CancelSignals } from '../../domain/durable/jobs/cancel-signals.ts'

const HEARTBEAT_EVERY_MS = 1_000
/** The reconciler looks at jobs that nobody touched for 30 s. */
const TOUCH_EVERY_MS = 10_000
/** How long a step that was told to stop waits for Temporal's own word of it. */
const CANCEL_ARRIVES_WITHIN_MS = 20_000

/**
 * Runs a step as an activity: it heartbeats every second and touches its job every ten, it stops at Temporal's cancellation or, sooner, at the
 * NOTIFY of the cancel (a step given no cancels is one that a cancel must not stop), and its failures carry ids and codes to Temporal, never content.
 */
export async function asActivity<T>(
  { db, cancels }: { db: Database; cancels?: CancelSignals | undefined },
  step: (job: JobContext) => Promise<T>,
): Promise<T> {
  const context = Context.current()
  const { workflowExecution, attempt } = context.info
  const run = jobRunOf(workflowExecution?.workflowId ?? '')
  const cancel = cancels?.watch(run.resourceId)
  let details: unknown
  const beating = setInterval(() => context.heartbeat(details), HEARTBEAT_EVERY_MS)
  const touching = setInterval(() => void touchJob(db, run).catch(() => undefined), TOUCH_EVERY_MS)
  try {
    const result = await step({
      run,
      attempt,
      signal: AbortSignal.any([context.cancellationSignal, ...(cancel === undefined ? [] : [cancel.signal])]),
      isCancelled: () => cancel?.signal.aborted === true || wasCancelled(context.cancellationSignal),
      heartbeat: latest => void (details = latest),
    })
    if (cancel?.signal.aborted === true && !context.cancellationSignal.aborted) await cancellation(context)
    return result
  } catch (error) {
    if (cancel?.signal.aborted === true && !context.cancellationSignal.aborted) await cancellation(context)
    throw failureOf(error, context.cancellationSignal)
  } finally {
    clearInterval(beating)
    clearInterval(touching)
    cancel?.close()
  }
}

/** A worker that shuts down aborts its activities too. */
const wasCancelled = ({ aborted, reason }: AbortSignal): boolean =>
  aborted && reason instanceof CancelledFailure && reason.message === 'CANCELLED'

/** The cancel was told by the database first: Temporal's own follows. Where it does not, the step is tried again. */
async function cancellation(context: Context): Promise<void> {
  const late = new Promise<void>(resolve => setTimeout(resolve, CANCEL_ARRIVES_WITHIN_MS).unref())
  await Promise.race([context.cancelled, late])
}

function failureOf(error: unknown, cancelled: AbortSignal): unknown {
  if (cancelled.aborted) return cancelled.reason instanceof CancelledFailure ? cancelled.reason : error
  if (error instanceof CancelledFailure || error instanceof ApplicationFailure) return error
  if (error instanceof DomainError) {
    const message = `${error.code} (${error.type ?? error.status})`
    return ApplicationFailure.create({ message, type: error.code, nonRetryable: !error.retryable })
  }
  const name = error instanceof Error ? error.name : 'Error'
  const code = error instanceof Error && 'code' in error ? ` ${String(error.code)}` : ''
  return ApplicationFailure.create({ message: `${name}${code}`, type: name })
}
