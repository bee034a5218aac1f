import type { NewEvent } from '../event-log/event-log.rules.ts'
import type { ResponseItem } from './response.schema.ts'

/** What a response's chunks have made so far; `finishReason` is the chat's. */
export interface Assembled {
  output: ResponseItem[]
  finishReason: string | undefined
}

/**
 * Turns a chat's chunks into the typed events of a response's output items, in OpenAI's order (its API reference,
 * "Streaming events" of Responses). One item is open at a time: text is closed by a tool call, a call by the next one.
 * Reasoning never becomes output. Events are without their sequence numbers.
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
  /** Of a call: its index among the chat's tool calls. */
  callIndex: number | undefined
}

export function createOutputStream(idOf: (prefix: 'msg' | 'fc', index: number) => string): OutputStream {
  const output: ResponseItem[] = []
  let open: Open | undefined
  let finishReason: string | undefined

  const close = (): NewEvent[] => {
    if (open === undefined) return []
    const events = open.item.type === 'message' ? closeMessage(open) : closeCall(open)
    open = undefined
    return events
  }
  const begin = (item: ResponseItem, callIndex: number | undefined): Open => {
    open = { item, outputIndex: output.length, callIndex }
    output.push(item)
    return open
  }

  const addText = (text: string): NewEvent[] => {
    const events: NewEvent[] = []
    let message = open?.item.type === 'message' ? open : undefined
    if (message === undefined) {
      events.push(...close())
      message = begin(emptyMessage(idOf('msg', output.length)), undefined)
      events.push(...openMessage(message))
    }
    const [part] = message.item.content ?? []
    if (part !== undefined) part.text = (part.text ?? '') + text
    const place = { item_id: message.item.id, output_index: message.outputIndex, content_index: 0 }
    return [...events, { type: 'response.output_text.delta', data: { ...place, delta: text, logprobs: [] } }]
  }

  const addCall = ({ index = 0, id, function: fragment }: CallFragment): NewEvent[] => {
    const events: NewEvent[] = []
    let call = open?.item.type === 'function_call' && open.callIndex === index ? open : undefined
    if (call === undefined) {
      events.push(...close())
      const itemId = idOf('fc', output.length)
      call = begin(emptyCall(itemId, id ?? itemId.replace(/^fc/, 'call'), fragment?.name ?? ''), index)
      events.push({
        type: 'response.output_item.added',
        data: { output_index: call.outputIndex, item: { ...call.item, status: 'in_progress' } },
      })
    }
    const text = fragment?.arguments ?? ''
    if (text === '') return events
    call.item.arguments = (call.item.arguments ?? '') + text
    const place = { item_id: call.item.id, output_index: call.outputIndex }
    return [...events, { type: 'response.function_call_arguments.delta', data: { ...place, delta: text } }]
  }

  return {
    add: chunk => {
      const choice = (chunk.choices as Choice[]).find(one => (one.index ?? 0) === 0)
      if (choice === undefined) return []
      finishReason = choice.finish_reason ?? finishReason
      const { content, refusal, tool_calls: calls } = choice.delta ?? {}
      const text = [content, refusal].filter(piece => typeof piece === 'string').join('')
      return [...(text === '' ? [] : addText(text)), ...(calls ?? []).flatMap(addCall)]
    },
    end: close,
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

/** OpenAI's clients count on annotations, though there never are any. */
const emptyPart = () => ({ type: 'output_text' as const, text: '', annotations: [] })

const emptyMessage = (id: string): ResponseItem => ({
  id,
  type: 'message',
  role: 'assistant',
  status: 'completed',
  content: [emptyPart()],
})

const emptyCall = (id: string, callId: string, name: string): ResponseItem => ({
  id,
  type: 'function_call',
  status: 'completed',
  call_id: callId,
  name,
  arguments: '',
})

function openMessage({ item, outputIndex }: Open): NewEvent[] {
  const part = emptyPart()
  return [
    {
      type: 'response.output_item.added',
      data: { output_index: outputIndex, item: { ...item, status: 'in_progress', content: [] } },
    },
    {
      type: 'response.content_part.added',
      data: { item_id: item.id, output_index: outputIndex, content_index: 0, part },
    },
  ]
}

function closeMessage({ item, outputIndex }: Open): NewEvent[] {
  const [part] = structuredClone(item.content ?? [])
  const place = { item_id: item.id, output_index: outputIndex, content_index: 0 }
  return [
    { type: 'response.output_text.done', data: { ...place, text: part?.text ?? '', logprobs: [] } },
    { type: 'response.content_part.done', data: { ...place, part } },
    { type: 'response.output_item.done', data: { output_index: outputIndex, item: structuredClone(item) } },
  ]
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
