import { isFields, type Fields } from '../json.ts'
import { encryptedDetail, textDetail } from './reasoning.ts'
import { usageOf } from './usage.ts'

/** What a reply says of itself. */
export const headOf = ({ id, model }: Fields): Fields => ({ id, created: Math.floor(Date.now() / 1000), model })

export const stringOf = (value: unknown): string => (typeof value === 'string' ? value : '')

/** A message of Anthropic's as a chat completion; its word for how it ended is read where all providers' are. */
export function completionOf(message: Fields): Fields {
  const blocks = Array.isArray(message['content']) ? message['content'].filter(isFields) : []
  const usage = usageOf(message['usage'])
  return {
    ...headOf(message),
    object: 'chat.completion',
    choices: [{ index: 0, message: messageOf(blocks), finish_reason: message['stop_reason'] }],
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
  function: { name, arguments: argumentsOf(input) },
})

/** A tool's input as the JSON that OpenAI's format has; some servers give that already. */
export const argumentsOf = (input: unknown): string => (typeof input === 'string' ? input : JSON.stringify(input ?? {}))

const detailsOf = (blocks: Fields[]): Fields[] =>
  blocks
    .filter(({ type }) => type === 'thinking' || type === 'redacted_thinking')
    .map(({ type, thinking, signature, data }, index) =>
      type === 'thinking'
        ? textDetail(index, { text: stringOf(thinking), signature: stringOf(signature) })
        : encryptedDetail(index, stringOf(data)),
    )
