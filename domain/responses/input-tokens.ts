import { countChatTokens } from '../../infra/tokenizer/chat-tokens.ts'
import { requireUsableModel } from '../catalog/model-access.rules.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Database } from '../../infra/postgres/database.ts'
import { badRequest } from '../errors.ts'
import type { Caller } from '../tenancy/tenancy.rules.ts'
import { messagesOfChain, truncated } from './chain.ts'
import { storedItems } from './input.rules.ts'
import { chatTools, requireServed } from './request.rules.ts'
import type { ResponseInputTokensRequest, ResponseInputTokensResponse } from './response.schema.ts'

interface Deps {
  db: Database
  catalog: Catalog
}

/** The tokens of a response's whole input, counted as an estimate counts them; nothing is charged. Errors: as of a response. */
export async function countResponseInput(
  deps: Deps,
  caller: Caller,
  request: ResponseInputTokensRequest,
): Promise<ResponseInputTokensResponse> {
  requireServed(request)
  const modelId = request.model ?? deps.catalog.defaultModelId
  if (modelId === undefined) throw badRequest('`model` is required: this deployment has no default.', 'model')
  const model = requireUsableModel(deps.catalog, modelId, caller.rules)
  const input = storedItems(request.input, index => `in_${index}`)
  const messages = await messagesOfChain(deps.db, caller.owner, request, input)
  const sent =
    request.truncation === 'auto' ? truncated(messages, model) : [...messages.instructions, ...messages.conversation]
  return {
    object: 'response.input_tokens',
    input_tokens: countChatTokens(sent, chatTools(request.tools ?? []), model.tokenizer ?? 'o200k_base'),
    input_tokens_details: { cached_tokens: 0 },
  }
}
