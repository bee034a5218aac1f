import type { ChatCompletionResponse } from '../chat-request/chat.schema.ts'
import type { IpopMetadata } from '../metadata/reply-metadata.schema.ts'
import type { Usage } from '../tokens/usage.schema.ts'

type Fields = Record<string, unknown>

/** What a reply says of itself, whatever the upstream said. */
export interface ReplyHead {
  id: string
  created: number
  model: string
}

/** The contract's fields of a choice in its normal form, which may have others. */
const closedChoice = ({ index, message, finish_reason, logprobs }: Fields): Fields => ({
  index,
  message,
  finish_reason,
  ...(logprobs !== undefined && { logprobs }),
})

/** The closed reply of a completion; `upstream` in its normal form. */
export const completionView = (
  head: ReplyHead,
  upstream: Fields,
  usage: Usage,
  ipop: IpopMetadata,
): ChatCompletionResponse => ({
  id: head.id,
  created: head.created,
  model: head.model,
  object: 'chat.completion',
  choices: ((upstream['choices'] ?? []) as Fields[]).map(closedChoice),
  usage,
  ipop,
})

/** The last chunk of a stream, with what is known only then. */
export const closingChunk = (head: ReplyHead, usage: Usage, ipop: IpopMetadata): Fields => ({
  ...head,
  object: 'chat.completion.chunk',
  choices: [],
  usage,
  ipop,
})

/** Whether the sandbox model answered. */
export const isSandboxReply = (headers: { get(name: string): string | undefined }): boolean =>
  headers.get('x-ipop-sandbox') === 'true'
