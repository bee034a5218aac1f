import type { CacheLife } from '../catalog/pricing.rules.ts'
import { cacheLifeOf } from './cache-life.rules.ts'
import type { ChatCompletionRequest } from './chat.schema.ts'
import { passedFields } from './passed-fields.rules.ts'

type Fields = Record<string, unknown>

/** What upstreams get of a chat, as JSON. */
export interface PassedSize {
  /** In bytes. */
  passed: number
  /** For how long it asks to be cached. */
  life: CacheLife
}

/** What the bounds of a chat are made from. */
export interface ChatSizes extends PassedSize {
  /** Bytes of its messages and tools. */
  asked: number
}

/** What a request has besides its options. */
type Asked = Pick<ChatCompletionRequest, 'messages'> & { tools?: unknown }

export const askedBytes = ({ messages, tools }: Asked): number =>
  Buffer.byteLength(JSON.stringify([messages, tools ?? []]))

export function sizeOfPassed(passed: Fields): PassedSize {
  const json = JSON.stringify(passed)
  return { passed: Buffer.byteLength(json), life: cacheLifeOf(json) }
}

export const lifeOf = (request: ChatCompletionRequest): CacheLife => sizeOfPassed(passedFields(request)).life

export const chatSizesOf = (request: ChatCompletionRequest): ChatSizes => ({
  ...sizeOfPassed(passedFields(request)),
  asked: askedBytes(request),
})
