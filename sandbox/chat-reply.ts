import { countChatTokens } from '../infra/tokenizer/chat-tokens.ts'
import { countTextTokens, firstTokens } from '../infra/tokenizer/text-tokens.ts'
import type { ChatCall, FunctionTool } from './chat-request.ts'
import { sandboxText, lastUserText } from './chat-text.ts'
import { hashOf } from './hash.ts'
import { instanceOf } from './json-instance.ts'
import { SchemaError } from './json-schema.ts'
import { invalidRequest } from './openai-error.ts'
import { drawnPicture, pictureCostUsd, pictureSizeOf } from './picture.ts'
import { readingOf, type Reading } from './reading.ts'

export interface ToolCall {
  id: string
  type: 'function'
  function: { name: string; arguments: string }
}

export interface ChatReply {
  content: string | null
  toolCalls: ToolCall[]
  /** PNG; undefined where the reply is no picture. */
  picture?: Buffer
  finishReason: 'stop' | 'length' | 'tool_calls'
  usage: object
}

/** What the sandbox answers: the same for the same request. Errors: 400 for a schema that nothing fits. */
export function chatReplyOf(call: ChatCall): ChatReply {
  if (call.picture !== undefined) return pictureReply(call, call.picture)
  const reading = readingOf(lastUserText(call.messages))
  const reply = call.demanded.length > 0 ? toolReply(call, reading) : textReply(call, reading)
  return { ...reply, usage: usageOf(call, reply) }
}

function pictureReply(call: ChatCall, config: NonNullable<ChatCall['picture']>): ChatReply {
  const usage = { prompt_tokens: countChatTokens(call.messages), completion_tokens: 0 }
  return {
    content: '',
    toolCalls: [],
    picture: drawnPicture(pictureSizeOf(config), hashOf(JSON.stringify(call.messages))),
    finishReason: 'stop',
    usage: { ...usage, total_tokens: usage.prompt_tokens, cost: pictureCostUsd(config.image_size) },
  }
}

type Unmetered = Omit<ChatReply, 'usage'>

function textReply(call: ChatCall, reading: Reading): Unmetered {
  const text = call.jsonSchema === undefined ? sandboxText(call, reading) : jsonFor(call.jsonSchema, reading, FORMAT)
  const stopped = beforeStop(text, call.stop)
  const content = firstTokens(stopped, call.maxOutputTokens)
  return { content, toolCalls: [], finishReason: content === stopped ? 'stop' : 'length' }
}

/** One output limit for all calls together; what does not fit is cut, as with a real model. */
function toolReply(call: ChatCall, reading: Reading): Unmetered {
  let tokensLeft = call.maxOutputTokens
  let isCut = false
  const toolCalls = call.demanded.map((tool, index) => {
    const whole = jsonFor(tool.function.parameters ?? {}, reading, `tools.${tool.function.name}.parameters`)
    const cut = firstTokens(whole, Math.max(0, tokensLeft))
    tokensLeft -= countTextTokens(cut)
    isCut ||= cut !== whole
    return toolCall(call, tool, index, cut)
  })
  return { content: null, toolCalls, finishReason: isCut ? 'length' : 'tool_calls' }
}

function toolCall(call: ChatCall, tool: FunctionTool, index: number, args: string): ToolCall {
  const id = `call_${hashOf(JSON.stringify(call.messages), tool.function.name, String(index)).toString(36)}`
  return { id, type: 'function', function: { name: tool.function.name, arguments: args } }
}

const FORMAT = 'response_format.json_schema.schema'

function jsonFor(schema: unknown, reading: Reading, param: string): string {
  const isFreeForm = typeof schema === 'object' && schema !== null && Object.keys(schema).length === 0
  try {
    return JSON.stringify(instanceOf(isFreeForm ? { type: 'object' } : schema, reading))
  } catch (error) {
    if (error instanceof SchemaError) throw invalidRequest(param, `Invalid schema for '${param}': ${error.message}.`)
    throw error
  }
}

function beforeStop(text: string, stop: readonly string[]): string {
  const ends = stop.map(word => text.indexOf(word)).filter(at => at >= 0)
  return text.slice(0, Math.min(text.length, ...ends))
}

function usageOf(call: ChatCall, reply: Unmetered): object {
  const promptTokens = countChatTokens(call.messages, call.tools)
  const completionTokens = call.choices * outputTokens(reply)
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0 },
  }
}

function outputTokens({ content, toolCalls }: Unmetered): number {
  const calls = toolCalls.map(({ function: f }) => countTextTokens(f.name) + countTextTokens(f.arguments))
  return calls.reduce((total, tokens) => total + tokens, countTextTokens(content ?? ''))
}
