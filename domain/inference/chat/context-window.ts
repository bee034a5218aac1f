import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import type { TaskOwner, ThreadWork } from '../threads/thread-work.ts'
import { contextTooLong } from '../chat-request/chat.rules.ts'
import type { ChatCompletionRequest } from '../chat-request/chat.schema.ts'
import { FAMILY_FACTOR } from './token-families.rules.ts'

/** Fewer bytes than this a token are seen only in odd texts: below it no tokenizer needs to run. */
const FEWEST_BYTES_PER_TOKEN = 2

/**
 * Refuses an input that certainly exceeds the model's window; where it may fit, the upstream decides. Certain means
 * counted with the model's own tokenizer, or so much too long by another one that its own has more too; counted no further than that.
 * Undefined where it fits without counting. Errors: 400, those of the thread.
 */
export function requireWithinWindow(
  { threadWork }: { threadWork: Pick<ThreadWork, 'countChat'> },
  taskOwner: TaskOwner,
  request: ChatCompletionRequest,
  model: CatalogEntry,
): Promise<void> | undefined {
  if (textBytes(request.messages) < model.max_input_tokens * FEWEST_BYTES_PER_TOKEN) return undefined
  const { messages, tools } = request
  const most = model.tokenizer === undefined ? (model.max_input_tokens + 1) * FAMILY_FACTOR - 1 : model.max_input_tokens
  const chat = { most, messages, tools: tools ?? [], encoding: model.tokenizer ?? 'o200k_base' }
  return threadWork.countChat(taskOwner, chat).then(({ tokens, isAtLeast }) => {
    if (isAtLeast || tokens > most) throw contextTooLong(model)
  })
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
