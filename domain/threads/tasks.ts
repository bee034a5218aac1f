import type { Encoding } from '../../infra/tokenizer/encodings.ts'
import { countChatTokensUpTo } from '../../infra/tokenizer/chat-tokens.ts'
import { countTextTokensUpTo, type TokenCount } from '../../infra/tokenizer/text-tokens.ts'
import { contentToKeep, type CallContent, type ContentPolicy, type KeptContent } from '../capture/capture.rules.ts'

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

export type ParsedJson = { value: unknown } | { fault: 'not_utf8' | 'not_json' }

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** A fault is no error: an error's text would hold some of the bytes. */
export function parseJson(bytes: ArrayBuffer): ParsedJson {
  const text = textOf(bytes)
  if (text === undefined) return { fault: 'not_utf8' }
  try {
    return { value: JSON.parse(text) as unknown }
  } catch {
    return { fault: 'not_json' }
  }
}

function textOf(bytes: ArrayBuffer): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}
