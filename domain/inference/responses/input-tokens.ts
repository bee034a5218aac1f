import { requireUsableModel } from '../catalog/model-access.rules.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Database } from '../../../infra/postgres/database.ts'
import { badRequest } from '../../core/errors.ts'
import type { ThreadWork } from '../threads/thread-work.ts'
import type { Caller } from '../../core/caller.rules.ts'
import { messagesOfChain, truncated } from './chain.ts'
import { storedItems } from './input.rules.ts'
import { chatTools, requireServed, requireSettings } from './request.rules.ts'
import type { Hold } from './stored-response.ts'
import type { ResponseInputTokensRequest, ResponseInputTokensResponse } from './response.schema.ts'

interface Deps {
  threadWork: ThreadWork
  db: Database
  catalog: Catalog
}

/**
 * The tokens of a response's whole input, counted as an estimate counts them, and no further than to just above the
 * model's window; nothing is charged. Errors: as of a response.
 */
export async function countResponseInput(
  deps: Deps,
  caller: Caller,
  request: ResponseInputTokensRequest,
  { signal, hold }: { signal: AbortSignal; hold: Hold },
): Promise<ResponseInputTokensResponse> {
  requireServed(request)
  requireSettings(request)
  const modelId = request.model ?? deps.catalog.defaultModelId
  if (modelId === undefined) throw badRequest('`model` is required: this deployment has no default.', 'model')
  const model = requireUsableModel(deps.catalog, modelId, caller.rules)
  const input = storedItems(request.input, index => `in_${index}`)
  const messages = await messagesOfChain(deps, caller, request, input, hold)
  const taskOwner = { tenant: caller.owner.userId, signal }
  const sent =
    request.truncation === 'auto'
      ? await truncated(deps, taskOwner, messages, model)
      : [...messages.instructions, ...messages.conversation]
  const { tokens } = await deps.threadWork.countChat(taskOwner, {
    most: model.max_input_tokens,
    messages: sent,
    tools: chatTools(request.tools ?? []),
    encoding: model.tokenizer ?? 'o200k_base',
  })
  return {
    object: 'response.input_tokens',
    input_tokens: tokens,
    input_tokens_details: { cached_tokens: 0 },
  }
}
