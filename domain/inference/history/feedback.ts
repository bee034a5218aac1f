import type { Database } from '../../../infra/postgres/database.ts'
import { badRequest } from '../../core/errors.ts'
import type { Caller } from '../../core/caller.rules.ts'
import { isStorable } from '../../core/text.rules.ts'
import { requireRequest } from './history.service.ts'
import type { RequestFeedbackRequest, RequestFeedbackResponse } from './history.schema.ts'
import { upsertFeedback } from './feedback.sql.ts'

/** Keeps what a key says of a request; what it says later of the same request updates the fields it names. Errors: 400, 404. */
export async function giveFeedback(
  deps: { db: Database },
  caller: Caller,
  requestId: string,
  feedback: RequestFeedbackRequest,
): Promise<RequestFeedbackResponse> {
  if (Object.keys(feedback).length === 0) {
    throw badRequest('Name at least one of `rating`, `outcome`, `task_type`, `notes`.', 'rating')
  }
  if (!isStorable(feedback))
    throw badRequest('The feedback holds a NUL or an unpaired surrogate.', fieldAtFault(feedback))
  const { id } = await requireRequest(deps, caller, requestId)
  await upsertFeedback(deps.db, caller, id, feedback)
  return { object: 'request.feedback', request_id: id, recorded: true }
}

const fieldAtFault = (feedback: RequestFeedbackRequest): string | undefined =>
  Object.entries(feedback).find(([, value]) => !isStorable(value))?.[0]
