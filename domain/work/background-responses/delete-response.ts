import { type ResponseDeps, turnIdOf } from '../../inference/responses/response.service.ts'
import type { Caller } from '../../core/caller.rules.ts'
import type { ResponseDeleted } from '../../inference/responses/response.schema.ts'
import { inTransaction } from '../../../infra/postgres/database.ts'
import { requireResponse } from '../../inference/responses/stored-response.ts'
import { forgetTurn } from '../turns/turn.service.ts'
import { conflict } from '../../core/errors.ts'
import { deleteResponseRow } from '../../inference/responses/response.service.ts'
import { dropLog } from '../../durable/event-log/event-log.service.ts'
import { uuidOf } from '../../core/ids.ts'

/** Forgets a response and its events. Errors: 404, 409 for one that is made in the background still. */
export async function deleteResponse(
  deps: Pick<ResponseDeps, 'db'>,
  caller: Caller,
  responseId: string,
): Promise<ResponseDeleted> {
  return inTransaction(deps.db, async tx => {
    const { background } = await requireResponse({ db: tx }, caller, responseId)
    if (background && !(await forgetTurn(tx, caller.owner, turnIdOf(responseId)))) {
      throw conflict('The response is still being made: cancel it first.', 'response_id')
    }
    await deleteResponseRow(tx, caller.owner, responseId)
    await dropLog(tx, uuidOf(responseId))
    return { id: responseId, object: 'response', deleted: true }
  })
}
