import type { CountedBound } from '../calls/cost-bounds.ts'
import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import { mostPriceOfCall, priceOfCall } from '../catalog/pricing.rules.ts'
import type { TaskOwner, ThreadDeps } from '../threads/thread-work.ts'
import { mostCountedTokens, withoutImageData } from '../chat-request/input-bound.rules.ts'
import type { SentChat } from '../chat-request/sent-chat.rules.ts'
import { countableOf, mostTokensOf } from './token-families.rules.ts'

/** What is longer keeps its bound by bytes: a thread counts about a kilobyte a millisecond, for who pays nothing yet. */
const MOST_COUNTED_BYTES = 128 * 1024

/**
 * The closer bound of a chat that the account cannot pay by its bytes, counted in a thread. Undefined where it is too
 * long to be counted.
 */
export function countedBoundOf(
  { threadWork }: ThreadDeps,
  taskOwner: TaskOwner,
  { body, rates, most, least, textBytes }: SentChat,
  model: CatalogEntry,
): CountedBound | undefined {
  if (textBytes > MOST_COUNTED_BYTES) return undefined
  return {
    leastNanos: priceOfCall(rates, least, 'standard'),
    count: async () => {
      const text = JSON.stringify(withoutImageData(body))
      const countable = countableOf(text, model)
      const texts = { most: model.max_input_tokens, texts: [countable.text], encoding: model.tokenizer ?? 'o200k_base' }
      const { tokens } = await threadWork.countTexts(taskOwner, texts)
      const input = Math.min(most.input, mostCountedTokens(body, mostTokensOf(countable, tokens, model), model))
      return mostPriceOfCall(rates, { input, output: most.output }, 'standard')
    },
  }
}
