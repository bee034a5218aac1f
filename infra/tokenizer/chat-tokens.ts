import type { Encoding } from './encodings.ts'
import { countImageTokens } from './image-tokens.ts'
import { createCounting, estimateTokensFromBytes, type Counting, type TokenCount } from './text-tokens.ts'
import { countToolTokens } from './tool-tokens.ts'

/** Every message is framed by control tokens, and the reply is primed with `<|start|>assistant<|message|>`. */
const TOKENS_PER_MESSAGE = 3
const TOKENS_PER_NAME = 1
const TOKENS_PER_TOOL_CALL = 3
const REPLY_PRIMING_TOKENS = 3

/** OpenAI bills audio input at a token per 100 ms; the size is taken as 16-bit mono at 24 kHz (48,000 bytes/s). */
const AUDIO_BYTES_PER_TOKEN = 4800

type Fields = Readonly<Record<string, unknown>>

/**
 * Prompt tokens of a chat request by OpenAI's published recipe (OpenAI Cookbook, "How to count tokens with tiktoken",
 * sections 6 and 7): exact for text on OpenAI's models, an estimate for tools beyond flat parameters and for others'
 * models. Images count by the tile rule; audio and files by their size. Content of an unknown shape counts nothing
 * and never throws: it is the upstream that refuses it.
 */
export function countChatTokens(
  messages: readonly object[],
  tools: readonly object[] = [],
  encoding: Encoding = 'o200k_base',
): number {
  return countChatTokensUpTo(Number.POSITIVE_INFINITY, messages, tools, encoding).tokens
}

/** The same, counted no further than to the first token beyond `most`. */
export function countChatTokensUpTo(
  most: number,
  messages: readonly object[],
  tools: readonly object[] = [],
  encoding: Encoding = 'o200k_base',
): TokenCount {
  const counting = createCounting(encoding, most)
  const perMessage = messages.map(message => messageTokens(message as Fields, counting))
  const tokens = REPLY_PRIMING_TOKENS + sum(perMessage) + countToolTokens(tools, counting)
  return { tokens, isAtLeast: counting.isOver }
}

function messageTokens(message: Fields, counting: Counting): number {
  const name = typeof message.name === 'string' ? counting.count(message.name) + TOKENS_PER_NAME : 0
  return (
    TOKENS_PER_MESSAGE +
    textTokens(message.role, counting) +
    name +
    contentTokens(message.content, counting) +
    textTokens(message.refusal, counting) +
    toolCallTokens(message, counting)
  )
}

function contentTokens(content: unknown, counting: Counting): number {
  if (!Array.isArray(content)) return textTokens(content, counting)
  return sum(content.map((part: unknown) => (isFields(part) ? partTokens(part, counting) : 0)))
}

function partTokens(part: Fields, counting: Counting): number {
  switch (part.type) {
    case 'image_url':
    case 'input_image':
      return imagePartTokens(part)
    case 'input_audio':
      return Math.ceil(base64Bytes(fieldsOf(part.input_audio).data) / AUDIO_BYTES_PER_TOKEN)
    case 'file':
    case 'input_file':
      return estimateTokensFromBytes(base64Bytes(fieldsOf(part.file ?? part).file_data))
    default:
      return textTokens(part.text, counting) + textTokens(part.refusal, counting)
  }
}

/** Chat nests `{image_url: {url, detail}}`; the Responses API has `image_url` as text and `detail` beside it. */
function imagePartTokens(part: Fields): number {
  if (typeof part.image_url === 'string') return countImageTokens(part.image_url, part.detail)
  const image = fieldsOf(part.image_url)
  return countImageTokens(typeof image.url === 'string' ? image.url : '', image.detail)
}

function toolCallTokens(message: Fields, counting: Counting): number {
  const calls = Array.isArray(message.tool_calls) ? (message.tool_calls as unknown[]) : []
  const functions = [...calls.map(call => fieldsOf(call).function), message.function_call].filter(isFields)
  const perCall = functions.map(
    call => TOKENS_PER_TOOL_CALL + textTokens(call.name, counting) + textTokens(call.arguments, counting),
  )
  return sum(perCall)
}

function textTokens(value: unknown, counting: Counting): number {
  return typeof value === 'string' ? counting.count(value) : 0
}

function base64Bytes(data: unknown): number {
  return typeof data === 'string' ? Math.floor((data.length * 3) / 4) : 0
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null
}

function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : {}
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0)
}
