import type { ChatCompletionRequest } from '../chat-request/chat.schema.ts'
import { badRequest } from '../../core/errors.ts'
import type { ResponseItem } from './response.schema.ts'

type Fields = Record<string, unknown>
type Message = ChatCompletionRequest['messages'][number] & Fields

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool']
const IMAGE_TYPES = ['input_image', 'image_url']
const TEXT_TYPES = ['input_text', 'output_text', 'text']

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * The items of a request's input as they are stored: closed, each with an id. Reasoning that clients send back is
 * left out: it belongs to a provider, and the next one cannot read it. Errors: 400 naming the place.
 */
export function storedItems(input: unknown, idOf: (index: number) => string): ResponseItem[] {
  if (input === '' || (Array.isArray(input) && input.length === 0)) throw badRequest('`input` is empty.', 'input')
  const items = typeof input === 'string' ? [{ role: 'user', content: input }] : ((input ?? []) as Fields[])
  return items.flatMap((item, index) => storedItem(item, idOf(index), `input.${index}`))
}

function storedItem(item: Fields, newId: string, path: string): ResponseItem[] {
  const type = item['type'] ?? 'message'
  const id = typeof item['id'] === 'string' && item['id'] !== '' ? item['id'] : newId
  if (type === 'reasoning') return []
  if (type === 'message' || type === 'input_message') return [storedMessage(item, id, path)]
  if (type === 'function_call') {
    const { name, arguments: text, call_id } = requireTexts(item, path, ['name', 'arguments', 'call_id'])
    return [{ id, type, name, arguments: text, call_id, status: 'completed' }]
  }
  if (type === 'function_call_output') {
    const { call_id } = requireTexts(item, path, ['call_id'])
    const content = partsOf(item['output'] ?? item['content'], `${path}.output`, 'input_text')
    return [{ id, type, call_id, content, status: 'completed' }]
  }
  throw badRequest(
    `\`${path}.type\` is not an item that is served: ${printable(type)}.`,
    `${path}.type`,
    'unsupported_item',
  )
}

function storedMessage(item: Fields, id: string, path: string): ResponseItem {
  const { role } = item
  if (typeof role !== 'string' || !ROLES.includes(role)) {
    throw badRequest(`\`${path}.role\` must be one of ${ROLES.join(', ')}.`, `${path}.role`)
  }
  const content = partsOf(item['content'], `${path}.content`, role === 'assistant' ? 'output_text' : 'input_text')
  return { id, type: 'message', role, status: 'completed', content }
}

type Part = NonNullable<ResponseItem['content']>[number]

/** Content in parts; a text is one. Errors: 400 naming the part. */
function partsOf(content: unknown, path: string, textType: 'input_text' | 'output_text'): Part[] {
  if (typeof content === 'string') return [{ type: textType, text: content }]
  if (!Array.isArray(content)) throw badRequest(`\`${path}\` must be a text or a list of parts.`, path)
  return content.map((part, index) => partOf(part, `${path}.${index}`, textType))
}

function partOf(part: unknown, path: string, textType: 'input_text' | 'output_text'): Part {
  const type = isFields(part) ? part['type'] : undefined
  if (!isFields(part) || typeof type !== 'string') throw badRequest(`\`${path}.type\` is required.`, `${path}.type`)
  if (TEXT_TYPES.includes(type)) return { type: textType, text: requireTexts(part, path, ['text']).text }
  if (type === 'refusal') return { type: textType, text: requireTexts(part, path, ['refusal']).refusal }
  if (IMAGE_TYPES.includes(type)) return imagePart(part, path)
  throw badRequest(
    `\`${path}.type\` is not content that is served: ${printable(type)}.`,
    `${path}.type`,
    'unsupported_content',
  )
}

function imagePart({ image_url: image, detail }: Fields, path: string): Part {
  const url = isFields(image) ? image['url'] : image
  if (typeof url !== 'string' || !/^(https?:\/\/|data:image\/)/.test(url)) {
    throw badRequest(`\`${path}.image_url\` must be an http(s) or data:image URL.`, `${path}.image_url`)
  }
  return { type: 'input_image', image_url: url, ...(detail === 'low' || detail === 'high' ? { detail } : {}) }
}

function requireTexts<Name extends string>(fields: Fields, path: string, names: Name[]): Record<Name, string> {
  for (const name of names) {
    if (typeof fields[name] !== 'string') throw badRequest(`\`${path}.${name}\` must be a string.`, `${path}.${name}`)
  }
  return fields as Record<Name, string>
}

const printable = (value: unknown): string => JSON.stringify(String(value).slice(0, 64))

/** Items as the messages of a chat: calls that follow each other are one turn of the assistant. */
export function messagesOf(items: readonly ResponseItem[]): Message[] {
  const messages: Message[] = []
  for (const item of items) {
    const last = messages.at(-1)
    if (item.type === 'function_call') {
      const call = { id: item.call_id, type: 'function', function: { name: item.name, arguments: item.arguments } }
      if (last?.role === 'assistant')
        last['tool_calls'] = [...((last['tool_calls'] as object[] | undefined) ?? []), call]
      else messages.push({ role: 'assistant', content: null, tool_calls: [call] })
    } else messages.push(item.type === 'message' ? messageOf(item) : toolMessage(item))
  }
  return messages
}

const toolMessage = (item: ResponseItem): Message => ({
  role: 'tool',
  tool_call_id: item.call_id,
  content: textOf(item),
})

function messageOf(item: ResponseItem): Message {
  // Not every provider knows the newer name of the role.
  const role = (item.role === 'developer' ? 'system' : item.role) as Message['role']
  const parts = item.content ?? []
  if (parts.every(part => part.type !== 'input_image')) return { role, content: textOf(item) }
  return { role, content: parts.map(chatPart) }
}

const chatPart = (part: Part) =>
  part.type === 'input_image'
    ? { type: 'image_url', image_url: { url: part.image_url, ...(part.detail && { detail: part.detail }) } }
    : { type: 'text', text: part.text ?? '' }

const textOf = (item: ResponseItem): string => (item.content ?? []).map(part => part.text ?? '').join('')
