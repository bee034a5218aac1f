import { move } from 'piscina'
import type { Encoding } from '../../../infra/tokenizer/encodings.ts'
import { countChatTokensUpTo } from '../../../infra/tokenizer/chat-tokens.ts'
import { isSuspect, storable } from '../../../infra/upstreams/text.ts'
import { countTextTokensUpTo, type TokenCount } from '../../../infra/tokenizer/text-tokens.ts'
import { contentToKeep, type CallContent, type KeptContent } from '../redaction/capture.rules.ts'
import type { ContentPolicy } from '../../core/caller.rules.ts'
import type { ChatCompletionRequest } from '../chat-request/chat.schema.ts'
import { chatSizesOf, type ChatSizes } from '../chat-request/chat-sizes.rules.ts'
import { startThatFits, type Fit } from '../chat-request/truncation.rules.ts'
import { JsonBudget, isWithinBudget } from '../../core/json-budget.ts'
import { withPackedVectors } from './vectors.rules.ts'

/**
 * What threads do: each export takes and gives what can be copied between threads. They are started from this file
 * (thread-work.ts), so it imports nothing that opens a connection.
 */

export interface ChatToCount {
  most: number
  messages: readonly object[]
  tools: readonly object[]
  encoding: Encoding
}

export const countChat = ({ most, messages, tools, encoding }: ChatToCount): TokenCount =>
  countChatTokensUpTo(most, messages, tools, encoding)

export interface TextsToCount {
  most: number
  texts: readonly string[]
  encoding: Encoding
}

export const countTexts = ({ most, texts, encoding }: TextsToCount): TokenCount =>
  countTextTokensUpTo(most, texts, encoding)

export const keepContent = ({ policy, call }: { policy: ContentPolicy; call: CallContent }): KeptContent | undefined =>
  contentToKeep(policy, call)

/** A refusal is what a budget says. */
export type ParsedJson = { value: unknown } | { fault: 'not_utf8' | 'not_json' } | { refusal: string }

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** A fault is no error: an error's text would hold some of the bytes. */
export function parseJson(blocks: readonly Uint8Array[]): ParsedJson {
  const text = textOf(Buffer.concat(blocks))
  if (text === undefined) return { fault: 'not_utf8' }
  try {
    return { value: JSON.parse(text) as unknown }
  } catch {
    return { fault: 'not_json' }
  }
}

/** The same of a text that nobody has counted yet. */
export function parseUncounted(blocks: readonly Uint8Array[]): ParsedJson {
  try {
    const budget = new JsonBudget()
    for (const block of blocks) budget.take(block)
  } catch (error) {
    return { refusal: (error as Error).message }
  }
  return parseJson(blocks)
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

export const parseText = (text: string): unknown => JSON.parse(text)

/** The value's JSON in UTF-8: moved, not copied. */
export const writeJson = (value: unknown) => move(jsonBytesOf(value))

export const jsonBytesOf = (value: unknown): Uint8Array<ArrayBuffer> =>
  new TextEncoder().encode(JSON.stringify(value, withNumbers))

/** Vectors travel between threads as their bytes. */
const withNumbers = (_name: string, value: unknown): unknown =>
  value instanceof Float64Array ? Array.from(value) : value

/** An upstream's reply, its texts as they can be stored and its vectors packed. */
export function readReply(blocks: readonly Uint8Array[]): unknown {
  const text = Buffer.concat(blocks).toString('utf8')
  try {
    const parsed = withPackedVectors(JSON.parse(text) as unknown)
    const value = isSuspect(text) ? storable(parsed) : parsed
    return isWithinBudget(value) ? value : undefined
  } catch {
    return undefined
  }
}

export const fitIntoWindow = (fit: Fit): number => startThatFits(fit)

export const chatSizes = (request: ChatCompletionRequest): ChatSizes => chatSizesOf(request)
