import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import { mostPriceOfCall, ratesOf, type Rates, type ServiceTier } from '../catalog/pricing.rules.ts'
import type { Nanos } from '../../money/ledger/money.rules.ts'
import type { ChatCompletionRequest } from './chat.schema.ts'
import { sizeOfPassed, type ChatSizes } from './chat-sizes.rules.ts'
import { inputBoundsOf } from './input-bound.rules.ts'
import { choicesOf, outputLimitOf, UNSTATED_OUTPUT_TOKENS } from './output-limit.rules.ts'
import { passedFields, requireTextOutput, thinkingBudgetOf } from './passed-fields.rules.ts'
import { boundedRequest } from './request-options.rules.ts'

type Fields = Record<string, unknown>

/** Token figures of a call before it is made. */
interface Bound {
  input: number
  output: number
}

/** A chat as it leaves, and what it can cost: permission and price are made from the same bytes. */
export interface SentChat {
  /** The request as its metadata bounds it. */
  request: ChatCompletionRequest
  /** The output tokens of a choice that are asked for at the most. */
  limit: number
  /** What leaves, with that limit, but for the route's own model id. */
  body: Fields
  /** What its tokens cost. */
  rates: Rates
  /** No answer that keeps to the limit has more: a token is at least a byte. */
  most: Bound
  /** It will hardly have less where the limit is used up: a token has seldom more bytes than eight. */
  least: Bound
  bytes: number
  /** But for the data of pictures. */
  textBytes: number
}

export interface SentOptions {
  /** The limit of a request that states none. */
  unstated?: number | undefined
  /** The limit that was reserved for a request which was bounded then: it is neither bounded nor limited anew. */
  reserved?: number | undefined
  /** Of the request, where they were measured already. */
  sizes?: ChatSizes | undefined
}

/** What JSON of the limit, the model's id, the options of a stream and what its metadata sets adds to a body. */
const BYTES_BESIDES = 512

/** The one place where a chat's body and its worst case are made. Errors: 400. */
export function sentChat(
  asked: ChatCompletionRequest,
  model: CatalogEntry,
  { unstated = UNSTATED_OUTPUT_TOKENS, reserved, sizes }: SentOptions = {},
): SentChat {
  requireTextOutput(asked)
  const request = reserved === undefined ? boundedRequest(asked, model, sizes) : asked
  const passed = passedFields(request)
  const { passed: passedBytes, life } = sizes ?? sizeOfPassed(passed)
  const bytes = passedBytes + BYTES_BESIDES
  const input = inputBoundsOf(passed, bytes, model)
  const limit = reserved ?? outputLimitOf(request, model, { unstated, inputTokens: input.about })
  // Where a budget of thinking is taken besides the limit, it is the larger of the two that is paid for.
  const output = Math.max(limit, thinkingBudgetOf(request)?.tokens ?? 0) * choicesOf(request)
  return {
    request,
    limit,
    body: withLimit(passed, limit, request.stream === true),
    rates: ratesOf(model.price, life),
    most: { input: input.most, output },
    least: { input: input.least, output },
    bytes,
    textBytes: input.textBytes,
  }
}

/** The most that it can cost. */
export const worstPriceOf = ({ rates, most }: SentChat, tier: ServiceTier): Nanos => mostPriceOfCall(rates, most, tier)

/**
 * Sets the limit under both names: which of them counts is the upstream's affair. Usage is always asked of a stream, for
 * billing. The fields are this call's own, so that they need not be copied.
 */
function withLimit(passed: Fields, limit: number, isStream: boolean): Fields {
  passed['max_tokens'] = limit
  passed['max_completion_tokens'] = limit
  if (!isStream) return passed
  passed['stream'] = true
  passed['stream_options'] = { include_usage: true }
  return passed
}
