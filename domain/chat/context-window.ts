import { countChatTokens } from '../../infra/tokenizer/chat-tokens.ts'
import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import type { ChatCompletionRequest } from './chat.schema.ts'

/** Fewer bytes than this a token are seen only in odd texts: below it no tokenizer needs to run. */
const FEWEST_BYTES_PER_TOKEN = 2
/** Tokenizers of other families differ from o200k_base by less than this factor. */
const FAMILY_FACTOR = 2

/**
 * The input's tokens where they certainly exceed the model's window; undefined where they may fit, since then the
 * upstream decides. Certain means counted with the model's own tokenizer, or twice too long by another one.
 */
export function certainlyTooLong(request: ChatCompletionRequest, model: CatalogEntry): number | undefined {
  if (textBytes(request.messages) < model.max_input_tokens * FEWEST_BYTES_PER_TOKEN) return undefined
  const counted = countChatTokens(request.messages, request.tools ?? [], model.tokenizer ?? 'o200k_base')
  const certain = model.tokenizer === undefined ? Math.floor(counted / FAMILY_FACTOR) : counted
  return certain > model.max_input_tokens ? certain : undefined
}

/** Bytes of the messages' text; images and other parts are left out. */
function textBytes(messages: readonly object[]): number {
  return messages.reduce((sum, message) => sum + contentBytes((message as { content?: unknown }).content), 0)
}

function contentBytes(content: unknown): number {
  if (typeof content === 'string') return Buffer.byteLength(content)
  if (!Array.isArray(content)) return 0
  return content.reduce<number>((sum, part: { text?: unknown }) => sum + contentBytes(part?.text), 0)
}
