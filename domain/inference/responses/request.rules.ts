import type { ChatCompletionRequest } from '../chat-request/chat.schema.ts'
import { badRequest } from '../../core/errors.ts'
import type { ResponsesCreateRequest } from './response.schema.ts'

type Fields = Record<string, unknown>
type Message = ChatCompletionRequest['messages'][number]

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The chat that a response is made by. Errors: 400 naming what is not served. */
export function chatRequestOf(request: ResponsesCreateRequest, messages: Message[]): ChatCompletionRequest {
  const tools = chatTools(request.tools ?? [])
  return withoutAbsent({
    model: request.model,
    messages,
    stream: request.stream === true,
    max_completion_tokens: request.max_output_tokens,
    temperature: request.temperature,
    top_p: request.top_p,
    tools: tools.length > 0 ? tools : undefined,
    tool_choice: chatToolChoice(request.tool_choice),
    parallel_tool_calls: tools.length > 0 ? request.parallel_tool_calls : undefined,
    response_format: responseFormat(request.text),
    reasoning_effort: effortOf(request.reasoning),
    verbosity: isFields(request.text) ? request.text['verbosity'] : undefined,
  }) as unknown as ChatCompletionRequest
}

const withoutAbsent = (fields: Fields): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null))

/** What a request asks that is not served here. Errors: 400 naming it. */
export function requireServed(request: { conversation?: unknown; background?: unknown; store?: unknown }): void {
  if (request.background === true && request.store === false) {
    throw badRequest('A background response must be stored: leave out `store`.', 'store')
  }
  if (request.conversation !== undefined && request.conversation !== null) {
    throw badRequest('`conversation` is not served: continue with `previous_response_id`.', 'conversation')
  }
}

const MOST_METADATA_CHARACTERS = 16_384
const MOST_INSTRUCTIONS_CHARACTERS = 1024 * 1024

/**
 * What a response repeats in its replies and most of its events is bounded, as what is only read once is not.
 * Errors: 400.
 */
export function requireSettings({ instructions, metadata }: { instructions?: unknown; metadata?: unknown }): void {
  if (charactersOf(metadata, MOST_METADATA_CHARACTERS) > MOST_METADATA_CHARACTERS)
    throw badRequest(`\`metadata\` has at most ${MOST_METADATA_CHARACTERS} characters as JSON.`, 'metadata')
  if (charactersOf(instructions, MOST_INSTRUCTIONS_CHARACTERS) > MOST_INSTRUCTIONS_CHARACTERS) {
    throw badRequest(
      `\`instructions\` have at most ${MOST_INSTRUCTIONS_CHARACTERS} characters: put longer texts into \`input\`.`,
      'instructions',
    )
  }
}

/** About how many characters a value has as JSON; it is looked at no further than to just above the most. */
function charactersOf(value: unknown, most: number): number {
  if (typeof value === 'string') return value.length
  if (typeof value !== 'object' || value === null) return 4
  return Array.isArray(value) ? charactersOfItems(value, most) : charactersOfFields(value as Fields, most)
}

function charactersOfItems(items: readonly unknown[], most: number): number {
  let characters = 2
  for (let at = 0; at < items.length && characters <= most; at += 1)
    characters += 1 + charactersOf(items[at], most - characters)
  return characters
}

function charactersOfFields(fields: Fields, most: number): number {
  let characters = 2
  for (const name in fields) {
    if (characters > most) return characters
    characters += name.length + 4 + charactersOf(fields[name], most - characters)
  }
  return characters
}

/** Errors: 400 naming a tool that is not served. */
export function chatTools(tools: readonly Fields[]): Fields[] {
  return tools.map((tool, index) => {
    const { type, name, description, parameters, strict } = tool
    if (type !== 'function') {
      throw badRequest(
        `The tool \`${String(type).slice(0, 64)}\` is not served: only function tools are.`,
        `tools.${index}.type`,
        'unsupported_tool',
      )
    }
    return { type, function: withoutAbsent({ name, description, parameters, strict }) }
  })
}

function chatToolChoice(choice: unknown): unknown {
  if (choice === undefined || choice === null || typeof choice === 'string') return choice
  if (isFields(choice) && choice['type'] === 'function' && typeof choice['name'] === 'string') {
    return { type: 'function', function: { name: choice['name'] } }
  }
  throw badRequest('`tool_choice` must be auto, none, required or a function by its name.', 'tool_choice')
}

function responseFormat(text: unknown): unknown {
  const format = isFields(text) ? text['format'] : undefined
  if (format === undefined || format === null) return undefined
  if (!isFields(format)) throw badRequest('`text.format` must be an object.', 'text.format')
  if (format['type'] !== 'json_schema') return format
  const { name, schema, strict, description } = format
  return { type: 'json_schema', json_schema: withoutAbsent({ name, schema, strict, description }) }
}

const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh']

function effortOf(reasoning: unknown): string | undefined {
  const effort = isFields(reasoning) ? (reasoning['effort'] ?? undefined) : undefined
  if (effort === undefined || (typeof effort === 'string' && EFFORTS.includes(effort))) return effort
  throw badRequest(`\`reasoning.effort\` must be one of ${EFFORTS.join(', ')}.`, 'reasoning.effort')
}
