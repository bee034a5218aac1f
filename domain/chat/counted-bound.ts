import { countTextTokens } from '../../infra/tokenizer/text-tokens.ts'
import type { CountedBound } from '../calls/model-call.ts'
import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import { priceOfCall } from '../catalog/pricing.rules.ts'
import { mostCountedTokens, withoutImageData } from './input-bound.rules.ts'
import type { SentChat } from './sent-chat.rules.ts'

/** Counting holds the event loop for about a millisecond a kilobyte: what is longer keeps its bound by bytes. */
const MOST_COUNTED_BYTES = 32 * 1024
/** Tokenizers of other families have at most so many tokens for one of o200k_base, which has one for three digits. */
const FAMILY_FACTOR = 3

/** The closer bound of a chat that the account cannot pay by its bytes. Undefined where it is too long to be counted. */
export function countedBoundOf(
  { body, most, least, textBytes }: SentChat,
  model: CatalogEntry,
): CountedBound | undefined {
  if (textBytes > MOST_COUNTED_BYTES) return undefined
  return {
    leastNanos: priceOfCall(model.price, least, 'standard'),
    count: () => {
      const text = JSON.stringify(withoutImageData(body))
      const counted = countTextTokens(text, model.tokenizer ?? 'o200k_base')
      const tokens = model.tokenizer === undefined ? counted * FAMILY_FACTOR : counted
      const input = Math.min(most.input, mostCountedTokens(body, tokens, model))
      return priceOfCall(model.price, { input, output: most.output }, 'standard')
    },
  }
}
