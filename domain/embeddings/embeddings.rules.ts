import { requireCapability } from '../catalog/model-access.rules.ts'
import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import { badRequest } from '../errors.ts'

type Fields = Record<string, unknown>

const MOST_INPUTS = 2048

/** Errors: 400 naming the field of an embeddings request that is at fault. */
export function requireEmbeddingsRequest(request: Fields, model: CatalogEntry): void {
  requireCapability(model, 'embeddings', 'model')
  if (!isInput(request['input'])) {
    throw badRequest('`input` must be a text, texts, tokens or lists of tokens, none of them empty.', 'input')
  }
  const { dimensions, encoding_format: format } = request
  if (dimensions !== undefined && !(Number.isInteger(dimensions) && (dimensions as number) > 0)) {
    throw badRequest('`dimensions` must be a whole number from 1.', 'dimensions')
  }
  if (format !== undefined && format !== 'float' && format !== 'base64') {
    throw badRequest('`encoding_format` must be float or base64.', 'encoding_format')
  }
}

function isInput(input: unknown): boolean {
  if (typeof input === 'string') return input !== ''
  if (!Array.isArray(input) || input.length === 0) return false
  if (isTokens(input)) return true
  if (input.length > MOST_INPUTS) return false
  return input.every(item => (typeof item === 'string' ? item !== '' : isTokens(item)))
}

const isTokens = (value: unknown): boolean =>
  Array.isArray(value) && value.length > 0 && value.every(item => Number.isInteger(item) && (item as number) >= 0)

const BYTES_PER_TOKEN = 3

/** A quick estimate of the input's tokens, on the high side. */
export function estimatedEmbeddingTokens(input: unknown): number {
  if (typeof input === 'string') return Math.ceil(Buffer.byteLength(input) / BYTES_PER_TOKEN)
  if (!Array.isArray(input)) return 1
  return input.reduce<number>((sum, item) => sum + estimatedEmbeddingTokens(item), 0)
}

/** The closed reply of an embeddings call, under the public model id. */
export const embeddingsView = (model: string, upstream: Fields, promptTokens: number): Fields => ({
  object: 'list',
  data: Array.isArray(upstream['data']) ? upstream['data'] : [],
  model,
  usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
})
