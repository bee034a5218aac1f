import type { ChatCompletionRequest } from './chat.schema.ts'
import { passedFields } from './passed-fields.rules.ts'

/** Bytes of a chat as JSON, from which its bounds are made. */
export interface ChatSizes {
  /** Of what upstreams get of it. */
  passed: number
  /** Of its messages and tools. */
  asked: number
}

export const jsonBytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value))

/** What a request has besides its options. */
type Asked = Pick<ChatCompletionRequest, 'messages'> & { tools?: unknown }

export const askedBytes = ({ messages, tools }: Asked): number => jsonBytes([messages, tools ?? []])

export const chatSizesOf = (request: ChatCompletionRequest): ChatSizes => ({
  passed: jsonBytes(passedFields(request)),
  asked: askedBytes(request),
})
