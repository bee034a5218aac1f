import type { RedactedThinkingBlockParam, ThinkingBlockParam } from '@anthropic-ai/sdk/resources/messages/messages'
import { isFields, type Fields } from '../json.ts'

/**
 * Thinking travels as OpenRouter's `reasoning_details`
 * (https://openrouter.ai/docs/guides/best-practices/reasoning-tokens): its text with the signature
 * that Anthropic wants back with the results of tools. So the same model answers alike over either route.
 */
const FORMAT = 'anthropic-claude-v1'

export type ThinkingParam = ThinkingBlockParam | RedactedThinkingBlockParam

export const textDetail = (index: number, part: { text?: string; signature?: string }): Fields => ({
  type: 'reasoning.text',
  ...part,
  format: FORMAT,
  index,
})

export const encryptedDetail = (index: number, data: string): Fields => ({
  type: 'reasoning.encrypted',
  data,
  format: FORMAT,
  index,
})

/** The thinking blocks that a message's details stand for. What has no signature, or another model's, cannot be sent. */
export function thinkingBlocks(details: unknown): ThinkingParam[] {
  if (!Array.isArray(details)) return []
  const own = details.filter(isFields).filter(({ format }) => (format ?? FORMAT) === FORMAT)
  return joined(own).flatMap(({ type, text, signature, data }): ThinkingParam[] => {
    if (type === 'reasoning.encrypted' && isText(data)) return [{ type: 'redacted_thinking', data }]
    if (type !== 'reasoning.text' || !isText(signature)) return []
    return [{ type: 'thinking', thinking: typeof text === 'string' ? text : '', signature }]
  })
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''

/** Clients that collect a stream keep its fragments: those of one index are one text, up to its signature. */
function joined(details: Fields[]): Fields[] {
  const whole: Fields[] = []
  for (const detail of details) {
    const last = whole.at(-1)
    if (last === undefined || !isContinued(last, detail)) whole.push({ ...detail })
    else {
      last['text'] = `${textOf(last['text'])}${textOf(detail['text'])}`
      last['signature'] = detail['signature']
    }
  }
  return whole
}

const isContinued = (last: Fields, detail: Fields): boolean =>
  last['type'] === 'reasoning.text' &&
  detail['type'] === 'reasoning.text' &&
  typeof detail['index'] === 'number' &&
  last['index'] === detail['index'] &&
  !isText(last['signature'])

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
