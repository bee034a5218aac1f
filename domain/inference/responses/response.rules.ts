import type { Usage } from '../tokens/usage.schema.ts'
import type { NewEvent } from '../../durable/event-log/event-log.rules.ts'
import type {
  ResponseItem,
  ResponseObject,
  ResponsesCreateRequest,
  ResponseStatus,
  ResponseUsage,
} from './response.schema.ts'
import { createOutputStream } from './stream.rules.ts'

/** What a reply repeats of its request. */
export interface ResponseSettings {
  instructions: unknown
  metadata: Record<string, unknown> | undefined
  service_tier: string
  store: boolean
}

/** A response as far as it has come. */
export interface ResponseState {
  id: string
  model: string
  createdAt: Date
  previousResponseId: string | null
  settings: ResponseSettings
  status: ResponseStatus
  /** Whether it is made without its client. */
  background: boolean
  output: ResponseItem[]
  usage: ResponseUsage | null
  error: { code: string; message: string } | null
  incompleteReason: string | null
}

const NO_USAGE: ResponseUsage = {
  input_tokens: 0,
  input_tokens_details: { cached_tokens: 0 },
  output_tokens: 0,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: 0,
}

export const responseUsage = (usage: Usage): ResponseUsage => ({
  input_tokens: usage.prompt_tokens,
  input_tokens_details: { cached_tokens: 0, ...usage.prompt_tokens_details },
  output_tokens: usage.completion_tokens,
  output_tokens_details: { reasoning_tokens: usage.completion_tokens_details?.reasoning_tokens ?? 0 },
  total_tokens: usage.total_tokens,
})

/** `auto` and `default` are the standard tier. */
export const settingsOf = (request: ResponsesCreateRequest): ResponseSettings => {
  const tier = request.service_tier ?? 'standard'
  return {
    instructions: request.instructions ?? undefined,
    metadata: request.metadata ?? undefined,
    service_tier: tier === 'auto' || tier === 'default' ? 'standard' : tier,
    store: request.store !== false,
  }
}

export function responseView(state: ResponseState): ResponseObject {
  const { instructions, metadata, service_tier, store } = state.settings
  return {
    id: state.id,
    object: 'response',
    created_at: Math.floor(state.createdAt.getTime() / 1000),
    status: state.status,
    background: state.background,
    model: state.model,
    ...(instructions === undefined || instructions === null ? {} : { instructions }),
    ...(state.previousResponseId === null ? {} : { previous_response_id: state.previousResponseId }),
    output: state.output,
    output_text: outputText(state.output),
    usage: state.usage ?? NO_USAGE,
    ...(state.error === null ? {} : { error: state.error }),
    ...(state.incompleteReason === null ? {} : { incomplete_details: { reason: state.incompleteReason } }),
    metadata: metadata ?? {},
    service_tier,
    store,
  }
}

const outputText = (output: readonly ResponseItem[]): string =>
  output
    .flatMap(item => (item.type === 'message' ? (item.content ?? []) : []))
    .map(part => part.text ?? '')
    .join('')

/** How a chat's end is a response's. */
export function endingOf(
  finishReason: string | undefined,
): Pick<ResponseState, 'incompleteReason'> & { status: 'completed' | 'incomplete' } {
  if (finishReason === 'length') return { status: 'incomplete', incompleteReason: 'max_output_tokens' }
  if (finishReason === 'content_filter') return { status: 'incomplete', incompleteReason: 'content_filter' }
  return { status: 'completed', incompleteReason: null }
}

/** The events that tell of the response as a whole. */
export const stateEvent = (type: string, state: ResponseState): NewEvent => ({
  type,
  data: { response: structuredClone(responseView(state)) },
})

export const openingEvents = (state: ResponseState): NewEvent[] => [
  stateEvent('response.created', state),
  stateEvent('response.in_progress', state),
]

const LAST_EVENTS = ['completed', 'incomplete', 'failed', 'cancelled'].map(status => `response.${status}`)

export const isLastEvent = (type: string): boolean => LAST_EVENTS.includes(type)

/** An event as it is sent: typed and numbered from 0. */
export const wireEvent = ({ type, data }: NewEvent, sequenceNumber: number) => ({
  event: type,
  data: JSON.stringify({ type, sequence_number: sequenceNumber, ...data }),
})

/** The output items of a whole reply: those that its stream would have made of one chunk. */
export function outputOfReply(choice: Record<string, unknown>, idOf: Parameters<typeof createOutputStream>[0]) {
  const stream = createOutputStream(idOf)
  stream.add({ choices: [chunkOf(choice)] })
  stream.end()
  return stream.assembled()
}

/** A whole message as one delta; its tool calls are counted. */
function chunkOf({ message, ...choice }: Record<string, unknown>): Record<string, unknown> {
  const { tool_calls: calls, ...delta } = (message ?? {}) as Record<string, unknown>
  const counted = Array.isArray(calls) ? { tool_calls: calls.map((call: object, index) => ({ ...call, index })) } : {}
  return { ...choice, index: 0, delta: { ...delta, ...counted } }
}

/** The events that a stored response would have been streamed by, its texts whole. */
export function eventsOfState(state: ResponseState): NewEvent[] {
  const begun: ResponseState = {
    ...state,
    status: 'in_progress',
    output: [],
    usage: null,
    error: null,
    incompleteReason: null,
  }
  let position = 0
  const stream = createOutputStream(() => state.output[position++]?.id ?? '')
  const events = state.output.flatMap((item, index) =>
    stream.add({ choices: [{ index: 0, delta: deltaOf(item, index) }] }),
  )
  return [...openingEvents(begun), ...events, ...stream.end(), stateEvent(`response.${state.status}`, state)]
}

function deltaOf(item: ResponseItem, index: number): Record<string, unknown> {
  if (item.type === 'message') {
    const parts = item.content ?? []
    const joined = (name: 'text' | 'refusal') => parts.map(part => part[name] ?? '').join('')
    return { content: joined('text'), refusal: joined('refusal') }
  }
  const { call_id: id, name, arguments: text } = item
  return { tool_calls: [{ index, id, function: { name, arguments: text } }] }
}
