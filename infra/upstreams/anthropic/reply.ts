import type { StopReason } from '@anthropic-ai/sdk/resources/messages/messages'
import { isFields, type Fields } from '../json.ts'
import { encryptedDetail, textDetail } from './reasoning.ts'
import { usageOf } from './usage.ts'

type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter'

const FINISH_REASONS: Record<StopReason, FinishReason> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  pause_turn: 'stop',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool_calls',
  refusal: 'content_filter',
}

/** A reason that is not known yet is an end like any other. */
export const finishReasonOf = (reason: unknown): FinishReason =>
  typeof reason === 'string' && Object.hasOwn(FINISH_REASONS, reason) ? FINISH_REASONS[reason as StopReason] : 'stop'

/** What a reply says of itself. */
export const headOf = ({ id, model }: Fields): Fields => ({ id, created: Math.floor(Date.now() / 1000), model })

export const stringOf = (value: unknown): string => (typeof value === 'string' ? value : '')

/** A message of Anthropic's as a chat completion. */
export function completionOf(message: Fields): Fields {
  const blocks = Array.isArray(message['content']) ? message['content'].filter(isFields) : []
  const usage = usageOf(message['usage'])
  return {
    ...headOf(message),
    object: 'chat.completion',
    choices: [{ index: 0, message: messageOf(blocks), finish_reason: finishReasonOf(message['stop_reason']) }],
    ...(usage === undefined ? {} : { usage }),
  }
}

function messageOf(blocks: Fields[]): Fields {
  const texts = blocks.filter(({ type }) => type === 'text').map(({ text }) => stringOf(text))
  const calls = blocks.filter(({ type }) => type === 'tool_use').map(toolCallOf)
  const details = detailsOf(blocks)
  const reasoning = details.map(({ text }) => stringOf(text)).join('')
  return {
    role: 'assistant',
    content: texts.length === 0 ? null : texts.join(''),
    ...(reasoning === '' ? {} : { reasoning }),
    ...(details.length === 0 ? {} : { reasoning_details: details }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  }
}

const toolCallOf = ({ id, name, input }: Fields): Fields => ({
  id,
  type: 'function',
  function: { name, arguments: JSON.stringify(input ?? {}) },
})

const detailsOf = (blocks: Fields[]): Fields[] =>
  blocks
    .filter(({ type }) => type === 'thinking' || type === 'redacted_thinking')
    .map(({ type, thinking, signature, data }, index) =>
      type === 'thinking'
        ? textDetail(index, { text: stringOf(thinking), signature: stringOf(signature) })
        : encryptedDetail(index, stringOf(data)),
    )
