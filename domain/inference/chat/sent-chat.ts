import { isLarge } from '../../../infra/large-json.ts'
import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import type { TaskOwner, ThreadWork } from '../threads/thread-work.ts'
import type { ChatCompletionRequest } from '../chat-request/chat.schema.ts'
import type { ChatSizes } from '../chat-request/chat-sizes.rules.ts'
import { sentChat, type SentChat, type SentOptions } from '../chat-request/sent-chat.rules.ts'

interface Deps {
  threadWork: Pick<ThreadWork, 'chatSizes'>
}

/** The bytes of a large chat, measured in a thread; undefined where they are found as fast here. Errors: 503. */
export const sizesOfLarge = (
  { threadWork }: Deps,
  taskOwner: TaskOwner,
  request: ChatCompletionRequest,
): Promise<ChatSizes> | undefined => (isLarge(request) ? threadWork.chatSizes(taskOwner, request) : undefined)

/** A chat as it leaves; at once where it is not large. Errors: 400, 503. */
export function measuredChat(
  deps: Deps,
  taskOwner: TaskOwner,
  request: ChatCompletionRequest,
  model: CatalogEntry,
  options: Omit<SentOptions, 'sizes'> = {},
): SentChat | Promise<SentChat> {
  const sizes = sizesOfLarge(deps, taskOwner, request)
  return sizes === undefined
    ? sentChat(request, model, options)
    : sizes.then(known => sentChat(request, model, { ...options, sizes: known }))
}
