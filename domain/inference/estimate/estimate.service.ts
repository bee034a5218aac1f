import type { Database } from '../../../infra/postgres/database.ts'
import type { TokenCount } from '../../../infra/tokenizer/text-tokens.ts'
import type { TokenUsage } from '../tokens/token-usage.rules.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import { priceCard } from '../models/model.service.ts'
import { requireUsableModel, supports } from '../catalog/model-access.rules.ts'
import { priceOfCall, ratesOf } from '../catalog/pricing.rules.ts'
import { requireChatRequest } from '../chat-request/chat.rules.ts'
import type { ChatCompletionRequest } from '../chat-request/chat.schema.ts'
import { badRequest } from '../../core/errors.ts'
import { usdNumber } from '../../money/ledger/money.rules.ts'
import type { Caller } from '../../core/caller.rules.ts'
import type { TaskOwner, ThreadWork } from '../threads/thread-work.ts'
import { meanOutputTokens } from '../../money/usage/usage.service.ts'
import type { EstimateRequest, EstimateResponse } from './estimate.schema.ts'

interface Deps {
  threadWork: ThreadWork
  db: Database
  catalog: Catalog
}

/** Taken for a model that the account has not used lately, where the request names no limit. */
const ASSUMED_OUTPUT_TOKENS = 500
const LOOK_BACK_DAYS = 30

/** Tokens and price of a request before it is made; nothing is asked of a model and nothing charged. Errors: 400, 403, 404. */
export async function estimate(
  deps: Deps,
  { requestId, caller, signal }: { requestId: string; caller: Caller; signal: AbortSignal },
  request: EstimateRequest,
): Promise<EstimateResponse> {
  const startedAtMs = performance.now()
  const model = requireUsableModel(deps.catalog, request.model, caller.rules)
  const kind = supports(model, 'embeddings') ? 'embeddings' : 'chat'
  const warnings: string[] = []
  const taskOwner = { tenant: caller.owner.userId, signal }
  const { tokens, isAtLeast } =
    kind === 'embeddings'
      ? await embeddingTokens(deps, taskOwner, request, model, warnings)
      : await chatTokens(deps, taskOwner, request, model, warnings)
  if (isAtLeast) warnings.push(`The input has at least ${tokens} tokens: they were counted no further.`)
  const output = kind === 'embeddings' ? 0 : await outputTokens(deps, caller, request, model, warnings)
  const usage: TokenUsage = { input: tokens, output }
  const isWithin = usage.input <= model.max_input_tokens
  if (!isWithin) warnings.push(`The input is longer than the model's window of ${model.max_input_tokens} tokens.`)
  const costUsd = usdNumber(priceOfCall(ratesOf(model.price), usage, 'standard'))
  return {
    object: 'ipop.estimate',
    model: model.id,
    kind,
    estimated_prompt_tokens: usage.input,
    estimated_completion_tokens: usage.output,
    estimated_total_tokens: usage.input + usage.output,
    estimated_cost_usd: costUsd,
    input_token_rate: model.price.input,
    output_token_rate: model.price.output,
    max_input_tokens: model.max_input_tokens,
    max_output_tokens: model.max_output_tokens,
    within_context_window: isWithin,
    pricing: {
      ...priceCard(model, 'standard'),
      uncached_input_tokens: usage.input,
      cached_input_tokens: 0,
      output_tokens: usage.output,
      reasoning_tokens: 0,
      cost_usd: costUsd,
    },
    ...(warnings.length === 0 ? {} : { warnings }),
    ipop: {
      request_id: requestId,
      latency_ms: Math.round(performance.now() - startedAtMs),
      cost_usd: 0,
      cache_hit: false,
      estimated_cost_usd: costUsd,
    },
  }
}

async function chatTokens(
  { threadWork }: Deps,
  taskOwner: TaskOwner,
  request: EstimateRequest,
  model: CatalogEntry,
  warnings: string[],
): Promise<TokenCount> {
  if (request.messages === undefined) throw badRequest('`messages` is required: the model is one for chat.', 'messages')
  requireChatRequest(request as ChatCompletionRequest, model)
  warnOfTokenizer(model, warnings)
  if (request.messages.some(hasImage)) {
    warnings.push('Images are counted by the tiles of 512 pixels; one behind an address is taken as 1024 x 1024.')
  }
  const { messages, tools } = request
  const most = model.max_input_tokens
  return threadWork.countChat(taskOwner, { most, messages, tools: tools ?? [], encoding: encodingOf(model) })
}

const hasImage = ({ content }: { content?: unknown }): boolean =>
  Array.isArray(content) && content.some((part: { type?: unknown } | null) => part?.type === 'image_url')

async function embeddingTokens(
  { threadWork }: Deps,
  taskOwner: TaskOwner,
  request: EstimateRequest,
  model: CatalogEntry,
  warnings: string[],
): Promise<TokenCount> {
  if (request.input === undefined) throw badRequest('`input` is required: the model is one for embeddings.', 'input')
  warnOfTokenizer(model, warnings)
  const texts = [request.input].flat()
  return threadWork.countTexts(taskOwner, {
    most: model.max_input_tokens * texts.length,
    texts,
    encoding: encodingOf(model),
  })
}

const encodingOf = (model: CatalogEntry) => model.tokenizer ?? 'o200k_base'

function warnOfTokenizer(model: CatalogEntry, warnings: string[]): void {
  if (model.tokenizer !== undefined) return
  warnings.push(
    "The model's family has no public tokenizer: tokens are counted with o200k_base and may differ by some ten percent.",
  )
}

/** As the request limits it, else as the account's calls of this model were lately. */
async function outputTokens(
  deps: Deps,
  { owner }: Caller,
  request: EstimateRequest,
  model: CatalogEntry,
  warnings: string[],
): Promise<number> {
  const limits = [request.max_completion_tokens ?? request.max_tokens, request.metadata?.max_output_tokens]
  const asked = limits.filter(limit => typeof limit === 'number')
  if (asked.length > 0) {
    warnings.push('The output is taken as long as its limit allows.')
    return Math.min(...asked, model.max_output_tokens)
  }
  const since = new Date(Date.now() - LOOK_BACK_DAYS * 24 * 3_600_000)
  const mean = await meanOutputTokens(deps, owner, model.id, since)
  warnings.push(
    mean === undefined
      ? `The request names no limit of its output: it is assumed to have ${ASSUMED_OUTPUT_TOKENS} tokens.`
      : `The request names no limit of its output: it is taken as the mean of your calls of this model in ${LOOK_BACK_DAYS} days.`,
  )
  return Math.min(mean ?? ASSUMED_OUTPUT_TOKENS, model.max_output_tokens)
}
