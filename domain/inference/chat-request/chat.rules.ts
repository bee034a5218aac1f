import { badRequest, DomainError } from '../../core/errors.ts'
import { requireCapability } from '../catalog/model-access.rules.ts'
import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import type { ChatCompletionRequest } from './chat.schema.ts'

type Fields = Record<string, unknown>

const FUNCTION_NAME = /^[A-Za-z0-9_-]{1,64}$/
const MOST_CHOICES = 8
const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * What the schema cannot say of a chat request: the parts of messages, tools and response_format, and what the model
 * supports of them. Errors: 400 naming the field.
 */
export function requireChatRequest(request: ChatCompletionRequest, model: CatalogEntry): void {
  requireCapability(model, 'chat', 'model')
  ;(request.messages as Fields[]).forEach((message, index) => requireMessage(message, `messages.${index}`, model))
  request.tools?.forEach((tool, index) => requireTool(tool, `tools.${index}`, model))
  requireResponseFormat(request.response_format, model)
  requireStreamOptions(request['stream_options'])
  requireChoices(request['n'])
}

function requireMessage(message: Fields, path: string, model: CatalogEntry): void {
  if (Array.isArray(message['content'])) {
    message['content'].forEach((part: Fields, index) => requirePart(part, `${path}.content.${index}`, model))
  }
  if (message['role'] === 'tool' && typeof message['tool_call_id'] !== 'string') {
    throw badRequest(`\`${path}.tool_call_id\` is required of a tool message.`, `${path}.tool_call_id`)
  }
  const isEmpty = message['content'] === undefined || message['content'] === null
  if (isEmpty && message['role'] !== 'assistant')
    throw badRequest(`\`${path}.content\` is required.`, `${path}.content`)
}

function requirePart(part: Fields, path: string, model: CatalogEntry): void {
  if (part['type'] === 'text' && typeof part['text'] !== 'string')
    throw badRequest(`\`${path}.text\` must be a string.`, `${path}.text`)
  if (part['type'] !== 'image_url') return
  requireCapability(model, 'vision', path)
  const image = part['image_url']
  const url = isFields(image) ? image['url'] : undefined
  if (typeof url !== 'string' || !/^(https?:\/\/|data:image\/)/.test(url)) {
    throw badRequest(`\`${path}.image_url.url\` must be an http(s) or data:image URL.`, `${path}.image_url.url`)
  }
}

function requireTool(tool: object, path: string, model: CatalogEntry): void {
  const { type, function: fn } = tool as Fields
  if (type === 'file_search') {
    throw badRequest(
      'The `file_search` tool needs vector stores, which this deployment does not serve.',
      path,
      'unsupported_tool',
    )
  }
  if (type !== 'function') throw badRequest(`\`${path}.type\` must be function.`, `${path}.type`, 'unsupported_tool')
  requireCapability(model, 'tools', path)
  const name = isFields(fn) ? fn['name'] : undefined
  if (typeof name !== 'string' || !FUNCTION_NAME.test(name)) {
    throw badRequest(`\`${path}.function.name\` must be 1 to 64 letters, digits, _ or -.`, `${path}.function.name`)
  }
}

function requireResponseFormat(format: unknown, model: CatalogEntry): void {
  if (format === undefined || format === null) return
  const type = isFields(format) ? format['type'] : undefined
  if (type === 'text' || type === 'json_object') return
  if (type !== 'json_schema') {
    throw badRequest('`response_format.type` must be text, json_object or json_schema.', 'response_format.type')
  }
  const definition = (format as Fields)['json_schema']
  const name = isFields(definition) ? definition['name'] : undefined
  if (typeof name !== 'string' || !FUNCTION_NAME.test(name)) {
    throw badRequest(
      '`response_format.json_schema.name` must be 1 to 64 letters, digits, _ or -.',
      'response_format.json_schema.name',
    )
  }
  if (!isFields((definition as Fields)['schema'])) {
    throw badRequest(
      '`response_format.json_schema.schema` must be a JSON schema object.',
      'response_format.json_schema.schema',
    )
  }
  requireCapability(model, 'json_schema', 'response_format')
}

function requireStreamOptions(options: unknown): void {
  if (options === undefined || options === null) return
  const include = isFields(options) ? options['include_usage'] : null
  if (include === undefined || typeof include === 'boolean') return
  throw badRequest('`stream_options.include_usage` must be a boolean.', 'stream_options')
}

function requireChoices(n: unknown): void {
  if (n === undefined || n === null) return
  if (Number.isInteger(n) && (n as number) >= 1 && (n as number) <= MOST_CHOICES) return
  throw badRequest(`\`n\` must be a whole number from 1 to ${MOST_CHOICES}.`, 'n')
}

export const wantsUsageChunk = (request: Record<string, unknown>): boolean => {
  const options = request['stream_options']
  return isFields(options) && options['include_usage'] === true
}

export const contextTooLong = (model: CatalogEntry): DomainError =>
  new DomainError(
    400,
    'context_length_exceeded',
    `The input has more than the ${model.max_input_tokens} tokens that the model ${model.id} takes.`,
    { type: 'context_length_exceeded', param: 'messages' },
  )
