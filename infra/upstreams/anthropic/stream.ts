import { isFields, type Fields } from '../json.ts'
import { failureOfError } from './failures.ts'
import { encryptedDetail, textDetail } from './reasoning.ts'
import { argumentsOf, headOf, stringOf } from './reply.ts'
import { laterUsage, usageOf } from './usage.ts'

/** A stream's events as chunks of a chat completion. */
export interface Translation {
  /** The chunks that the event makes: none of a ping, nor of events yet unknown. Errors: UpstreamFailure of an error. */
  add(event: Fields): Fields[]
}

/** A block that has begun: what its deltas are told as. `input` is what a tool's block began with. */
type Block =
  | { kind: 'text' }
  | { kind: 'other' }
  | { kind: 'thinking'; index: number }
  | { kind: 'tool'; index: number; isEmpty: boolean; input: unknown }

/** Source: https://platform.claude.com/docs/en/build-with-claude/streaming */
export function createTranslation(): Translation {
  let head: Fields = {}
  let usage: Fields = {}
  const content = createContent()
  const chunk = (delta: Fields, finishReason: string | null = null): Fields => ({
    ...head,
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta, finish_reason: finishReason }],
  })

  const handlers: Record<string, (event: Fields) => Fields[]> = {
    message_start: ({ message }) => {
      const start = isFields(message) ? message : {}
      head = headOf(start)
      usage = laterUsage(usage, start['usage'])
      return [chunk({ role: 'assistant', content: '' })]
    },
    content_block_start: event => content.start(event).map(delta => chunk(delta)),
    content_block_delta: event => content.delta(event).map(delta => chunk(delta)),
    content_block_stop: event => content.stop(event).map(delta => chunk(delta)),
    message_delta: event => {
      usage = laterUsage(usage, event['usage'])
      const reason = isFields(event['delta']) ? event['delta']['stop_reason'] : undefined
      if (typeof reason !== 'string') return []
      const end = { ...chunk({}, reason), usage: usageOf(usage) ?? null }
      return [...content.end().map(delta => chunk(delta)), end]
    },
    error: ({ error }) => {
      throw failureOfError(error)
    },
  }
  return {
    add: event => {
      const type = stringOf(event['type'])
      return Object.hasOwn(handlers, type) ? (handlers[type]?.(event) ?? []) : []
    },
  }
}

type Deltas = (event: Fields) => Fields[]

/** The message's blocks, told as deltas: each tool call and each piece of thinking has a number of its own kind. */
function createContent(): { start: Deltas; delta: Deltas; stop: Deltas; end(): Fields[] } {
  const blocks = new Map<unknown, Block>()
  let tools = 0
  let thoughts = 0
  const begin = (index: unknown, block: Block, ...deltas: Fields[]): Fields[] => {
    blocks.set(index, block)
    return deltas
  }
  /** Some servers send deltas of a block that they never began. */
  const unbegun = (index: unknown, delta: Fields): Block | undefined => {
    if (delta['type'] === 'text_delta') begin(index, { kind: 'text' })
    if (delta['type'] === 'thinking_delta') begin(index, { kind: 'thinking', index: thoughts++ })
    return blocks.get(index)
  }
  return {
    start: ({ index, content_block: started }) => {
      const block = isFields(started) ? started : {}
      switch (block['type']) {
        case 'text':
          return begin(index, { kind: 'text' }, ...textDeltas(block['text']))
        case 'thinking':
          return begin(index, { kind: 'thinking', index: thoughts }, ...thinkingDeltas(thoughts++, block))
        case 'redacted_thinking':
          return [{ reasoning_details: [encryptedDetail(thoughts++, stringOf(block['data']))] }]
        case 'tool_use':
          return begin(
            index,
            { kind: 'tool', index: tools, isEmpty: true, input: block['input'] },
            toolDelta(tools++, block),
          )
        default:
          return begin(index, { kind: 'other' })
      }
    },
    delta: ({ index, delta }) => {
      if (!isFields(delta)) return []
      const block = blocks.get(index) ?? unbegun(index, delta)
      return block === undefined ? [] : deltasOf(block, delta)
    },
    stop: ({ index }) => {
      const block = blocks.get(index)
      return block === undefined ? [] : inputAtStart(block)
    },
    end: () => [...blocks.values()].flatMap(inputAtStart),
  }
}

/**
 * The arguments of a tool that came without deltas: a tool without arguments sends none, which OpenAI's clients parse
 * all the same, and some servers give the whole input when the block begins.
 */
function inputAtStart(block: Block): Fields[] {
  if (block.kind !== 'tool' || !block.isEmpty) return []
  block.isEmpty = false
  return [argumentsDelta(block.index, argumentsOf(block.input))]
}

function deltasOf(block: Block, { type, ...delta }: Fields): Fields[] {
  if (block.kind === 'other') return []
  if (block.kind === 'text') return type === 'text_delta' ? textDeltas(delta['text']) : []
  if (block.kind === 'thinking') return thinkingDeltas(block.index, delta)
  const json = type === 'input_json_delta' ? stringOf(delta['partial_json']) : ''
  if (json === '') return []
  block.isEmpty = false
  return [argumentsDelta(block.index, json)]
}

const textDeltas = (text: unknown): Fields[] => (stringOf(text) === '' ? [] : [{ content: text }])

function thinkingDeltas(index: number, { thinking, signature }: Fields): Fields[] {
  const [text, seal] = [stringOf(thinking), stringOf(signature)]
  return [
    ...(text === '' ? [] : [{ reasoning: text, reasoning_details: [textDetail(index, { text })] }]),
    ...(seal === '' ? [] : [{ reasoning_details: [textDetail(index, { signature: seal })] }]),
  ]
}

const toolDelta = (index: number, { id, name }: Fields): Fields => ({
  tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }],
})

const argumentsDelta = (index: number, text: string): Fields => ({
  tool_calls: [{ index, function: { arguments: text } }],
})
