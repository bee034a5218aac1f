import type { NewEvent } from '../../durable/event-log/event-log.rules.ts'
import type { ResponseItem } from './response.schema.ts'

/** What a response's chunks have made so far; `finishReason` is the chat's. */
export interface Assembled {
  output: ResponseItem[]
  finishReason: string | undefined
}

/**
 * Turns a chat's chunks into the typed events of a response's output items, in OpenAI's order (its API reference,
 * "Streaming events" of Responses). A message is closed by a tool call, a call by what follows it once its arguments are
 * whole: models that write calls side by side have several open. Reasoning never becomes output. Events are without
 * their sequence numbers.
 */
export interface OutputStream {
  add(chunk: { choices: object[] }): NewEvent[]
  /** Closes what is open. */
  end(): NewEvent[]
  assembled(): Assembled
}

interface Open {
  item: ResponseItem
  outputIndex: number
}

export function createOutputStream(idOf: (prefix: 'msg' | 'fc', index: number) => string): OutputStream {
  const output: ResponseItem[] = []
  let message: Open | undefined
  /** By the chat's index of the call. */
  const calls = new Map<number, Open>()
  let finishReason: string | undefined

  const begin = (item: ResponseItem): Open => ({ item, outputIndex: output.push(item) - 1 })
  const closeText = (): NewEvent[] => {
    const events = message === undefined ? [] : closeMessage(message)
    message = undefined
    return events
  }
  const closeCalls = (isOver: (call: Open) => boolean): NewEvent[] =>
    [...calls].flatMap(([index, call]) => {
      if (!isOver(call)) return []
      calls.delete(index)
      return closeCall(call)
    })

  const addText = (kind: PartKind, text: string): NewEvent[] => {
    const events = message === undefined ? closeCalls(isWhole) : []
    message ??= begin(emptyMessage(idOf('msg', output.length)))
    events.push(...openPart(message, kind))
    return [...events, ...addToPart(message, kind, text)]
  }

  const openCall = (index: number, { id, function: fragment }: CallFragment): { call: Open; events: NewEvent[] } => {
    const events = [...closeText(), ...closeCalls(isWhole)]
    const itemId = idOf('fc', output.length)
    const call = begin(emptyCall(itemId, id ?? itemId.replace(/^fc/, 'call'), fragment?.name ?? ''))
    calls.set(index, call)
    const item = { ...call.item, status: 'in_progress' }
    return { call, events: [...events, { type: ITEM_ADDED, data: { output_index: call.outputIndex, item } }] }
  }

  const addCall = (given: CallFragment): NewEvent[] => {
    const { index = 0, function: fragment } = given
    const known = calls.get(index)
    // Arguments that were whole are followed by nothing.
    if (known === undefined && fragment?.name === undefined) return []
    const { call, events } = known === undefined ? openCall(index, given) : { call: known, events: [] }
    const text = fragment?.arguments ?? ''
    if (text === '') return events
    call.item.arguments = (call.item.arguments ?? '') + text
    const position = { item_id: call.item.id, output_index: call.outputIndex }
    return [...events, { type: 'response.function_call_arguments.delta', data: { ...position, delta: text } }]
  }

  return {
    add: chunk => {
      const choice = (chunk.choices as Choice[]).find(one => (one.index ?? 0) === 0)
      if (choice === undefined) return []
      finishReason = choice.finish_reason ?? finishReason
      const { content, refusal, tool_calls: fragments } = choice.delta ?? {}
      const text = isText(content) ? addText('output_text', content) : []
      const refused = isText(refusal) ? addText('refusal', refusal) : []
      return [...text, ...refused, ...(fragments ?? []).flatMap(addCall)]
    },
    end: () => [...closeText(), ...closeCalls(() => true)],
    assembled: () => ({ output, finishReason }),
  }
}

interface CallFragment {
  index?: number
  id?: string
  function?: { name?: string; arguments?: string }
}

interface Choice {
  index?: number
  finish_reason?: string | null
  delta?: { content?: unknown; refusal?: unknown; tool_calls?: CallFragment[] }
}

const ITEM_ADDED = 'response.output_item.added'
const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''

/** Whether nothing can follow a call's arguments. */
function isWhole({ item: { arguments: text = '' } }: Open): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

type PartKind = 'output_text' | 'refusal'

/** OpenAI's clients count on annotations, though there never are any. */
const emptyPart = (kind: PartKind) =>
  kind === 'refusal' ? { type: kind, refusal: '' } : { type: kind, text: '', annotations: [] }

const emptyMessage = (id: string): ResponseItem => ({
  id,
  type: 'message',
  role: 'assistant',
  status: 'completed',
  content: [],
})

const emptyCall = (id: string, callId: string, name: string): ResponseItem => ({
  id,
  type: 'function_call',
  status: 'completed',
  call_id: callId,
  name,
  arguments: '',
})

const positionOf = ({ item, outputIndex }: Open) => ({
  item_id: item.id,
  output_index: outputIndex,
  content_index: (item.content?.length ?? 1) - 1,
})

/** Opens the message's part of this kind, where it is not the one that is open; with the message, where it is the first. */
function openPart(message: Open, kind: PartKind): NewEvent[] {
  const { item, outputIndex } = message
  const content = (item.content ??= [])
  if (content.at(-1)?.type === kind) return []
  const added = { ...item, status: 'in_progress', content: [] }
  const events: NewEvent[] =
    content.length === 0 ? [{ type: ITEM_ADDED, data: { output_index: outputIndex, item: added } }] : closePart(message)
  content.push(emptyPart(kind))
  return [...events, { type: 'response.content_part.added', data: { ...positionOf(message), part: emptyPart(kind) } }]
}

function addToPart(message: Open, kind: PartKind, text: string): NewEvent[] {
  const part = message.item.content?.at(-1)
  const position = positionOf(message)
  if (kind === 'refusal') {
    if (part !== undefined) part.refusal = (part.refusal ?? '') + text
    return [{ type: 'response.refusal.delta', data: { ...position, delta: text } }]
  }
  if (part !== undefined) part.text = (part.text ?? '') + text
  return [{ type: 'response.output_text.delta', data: { ...position, delta: text, logprobs: [] } }]
}

function closePart(message: Open): NewEvent[] {
  const part = structuredClone(message.item.content?.at(-1))
  const position = positionOf(message)
  const done: NewEvent =
    part?.type === 'refusal'
      ? { type: 'response.refusal.done', data: { ...position, refusal: part.refusal ?? '' } }
      : { type: 'response.output_text.done', data: { ...position, text: part?.text ?? '', logprobs: [] } }
  return [done, { type: 'response.content_part.done', data: { ...position, part } }]
}

function closeMessage(message: Open): NewEvent[] {
  const { item, outputIndex } = message
  const done = { output_index: outputIndex, item: structuredClone(item) }
  return [...closePart(message), { type: 'response.output_item.done', data: done }]
}

function closeCall({ item, outputIndex }: Open): NewEvent[] {
  const { name, arguments: text } = item
  return [
    {
      type: 'response.function_call_arguments.done',
      data: { item_id: item.id, output_index: outputIndex, name, arguments: text },
    },
    { type: 'response.output_item.done', data: { output_index: outputIndex, item: { ...item } } },
  ]
}
