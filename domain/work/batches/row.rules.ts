import { requireUsableModel, type ModelDirectory } from '../../inference/catalog/model-access.rules.ts'
import { priceOfCall, ratesOf } from '../../inference/catalog/pricing.rules.ts'
import type { CatalogEntry } from '../../inference/catalog/catalog.schema.ts'
import { requireChatRequest } from '../../inference/chat-request/chat.rules.ts'
import { ChatCompletionRequest } from '../../inference/chat-request/chat.schema.ts'
import type { ChatSizes } from '../../inference/chat-request/chat-sizes.rules.ts'
import { sentChat, worstPriceOf, type SentChat } from '../../inference/chat-request/sent-chat.rules.ts'
import { mostEmbeddingTokens, requireEmbeddingsRequest } from '../../inference/embeddings/embeddings.rules.ts'
import { badRequest, DomainError } from '../../core/errors.ts'
import type { Nanos } from '../../money/ledger/money.rules.ts'
import type { KeyRules } from '../../core/caller.rules.ts'
import { isStorable, isTooDeep } from '../../core/text.rules.ts'
import { requireValid } from '../../core/validation.rules.ts'
import { ENDPOINT_URLS, type RowError } from './batch.rules.ts'
import type { BatchEndpoint } from './batch.schema.ts'

export type Fields = Record<string, unknown>

export const LONGEST_LINE_BYTES = 8 * 1024 * 1024
const LONGEST_CUSTOM_ID = 512
/** The limit of a row that names none: less than a chat's, since it is held for every row at once. */
const UNSTATED_OUTPUT_TOKENS = 4_096

export interface RowContext {
  catalog: ModelDirectory
  endpoint: BatchEndpoint
  rules: KeyRules
}

export interface ParsedRow {
  customId: string | null
  model: CatalogEntry
  body: Fields
}

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The JSON object of a line. Errors: 400. */
export function parseLine(bytes: Uint8Array): Fields {
  requireLength(bytes)
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw brokenLine()
  }
  if (isTooDeep(value)) throw badRequest('The line is nested too deeply.', undefined, 'invalid_json_line')
  return fieldsOfLine(value)
}

/** Errors: 400. */
export function requireLength(bytes: Uint8Array): void {
  if (bytes.length <= LONGEST_LINE_BYTES) return
  throw badRequest(`The line is longer than ${LONGEST_LINE_BYTES} bytes.`, undefined, 'line_too_long')
}

/** Errors: 400. */
export function fieldsOfLine(value: unknown): Fields {
  if (isFields(value)) return value
  throw badRequest('The line is not a JSON object.', undefined, 'invalid_json_line')
}

export const brokenLine = () => badRequest('The line is not valid JSON in UTF-8.', undefined, 'invalid_json_line')
export const tooComplexLine = (why: string) => badRequest(why, undefined, 'line_too_complex')

/** The row's own id, where it has one that can be given back. */
export function customIdOf(line: Fields): string | null {
  const id = line['custom_id']
  return typeof id === 'string' && id.length >= 1 && id.length <= LONGEST_CUSTOM_ID && isStorable(id) ? id : null
}

/**
 * A row in OpenAI's form (`custom_id`, `method`, `url`, `body`) or the older one, where the row itself is the body.
 * Errors: DomainError naming the field.
 */
export function parseRow(line: Fields, context: RowContext): ParsedRow {
  const customId = customIdOf(line)
  const older = line['body'] === undefined && line['url'] === undefined && line['model'] !== undefined
  if (customId === null && (!older || line['custom_id'] !== undefined)) {
    throw badRequest(`\`custom_id\` must be a text of 1 to ${LONGEST_CUSTOM_ID} characters.`, 'custom_id')
  }
  const body = older ? olderBody(line) : openAiBody(line, context.endpoint)
  if (body['stream'] === true) throw badRequest('`stream` is not possible in a batch.', 'body.stream')
  return { customId, body, model: requireRowModel(body, context) }
}

function openAiBody(line: Fields, endpoint: BatchEndpoint): Fields {
  if (line['method'] !== 'POST') throw badRequest('`method` must be POST.', 'method')
  const urls = ENDPOINT_URLS[endpoint]
  if (typeof line['url'] !== 'string' || !urls.includes(line['url'])) {
    throw badRequest(`\`url\` must be ${urls[0]}, as the batch's endpoint.`, 'url')
  }
  if (!isFields(line['body'])) throw badRequest('`body` must be an object.', 'body')
  return line['body']
}

function olderBody(line: Fields): Fields {
  const { custom_id: _customId, ...body } = line
  return body
}

function requireRowModel(body: Fields, { catalog, endpoint, rules }: RowContext): CatalogEntry {
  const { model } = body
  if (typeof model !== 'string' || model === '') throw badRequest('`body.model` is required.', 'body.model')
  const entry = requireUsableModel(catalog, model, rules)
  if (endpoint === 'embeddings') {
    requireEmbeddingsRequest(body, entry)
    return entry
  }
  requireValid(ChatCompletionRequest, body)
  requireChatRequest(body as ChatCompletionRequest, entry)
  return entry
}

/** A chat's row as it leaves. Errors: 400. */
export const sentRow = ({ body, model }: Pick<ParsedRow, 'body' | 'model'>, sizes?: ChatSizes): SentChat =>
  sentChat(body as ChatCompletionRequest, model, { unstated: UNSTATED_OUTPUT_TOKENS, sizes })

/** The most that the row can cost at the batch price. Errors: 400. */
export function worstPrice(row: ParsedRow, endpoint: BatchEndpoint, sizes?: ChatSizes): Nanos {
  if (endpoint === 'chat_completions') return worstPriceOf(sentRow(row, sizes), 'batch')
  const input = mostEmbeddingTokens(row.body['input'], row.model)
  return priceOfCall(ratesOf(row.model.price), { input, output: 0 }, 'batch')
}

/** What a row's caller is told of a failure. */
export function rowErrorOf(error: unknown, line?: number): RowError {
  const at = line === undefined ? {} : { line }
  if (!(error instanceof DomainError))
    return { code: 'internal_error', message: 'The request failed on our side.', ...at }
  const code = error.type === 'invalid_request' || error.type === undefined ? error.code : error.type
  const message = error.message.replaceAll('\0', '').toWellFormed()
  return { code, message, ...(error.param === undefined ? {} : { param: error.param }), ...at }
}
