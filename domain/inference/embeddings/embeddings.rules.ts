import { requireCapability } from '../catalog/model-access.rules.ts'
import { isVector, type Vector } from '../threads/vectors.rules.ts'
import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import { badRequest } from '../../core/errors.ts'

type Fields = Record<string, unknown>

const MOST_INPUTS = 2048
/** What OpenAI takes in one request, which others follow. */
const MOST_TOKENS_AT_ONCE = 300_000

/** Errors: 400 naming the field of an embeddings request that is at fault. */
export function requireEmbeddingsRequest(request: Fields, model: CatalogEntry): void {
  requireCapability(model, 'embeddings', 'model')
  if (!isInput(request['input'])) {
    throw badRequest('`input` must be a text, texts, tokens or lists of tokens, none of them empty.', 'input')
  }
  const { dimensions, encoding_format: format } = request
  if ((dimensions ?? undefined) !== undefined && !(Number.isInteger(dimensions) && (dimensions as number) > 0)) {
    throw badRequest('`dimensions` must be a whole number from 1.', 'dimensions')
  }
  if ((format ?? undefined) !== undefined && format !== 'float' && format !== 'base64') {
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

/** Of a request, besides the input: nothing by which an upstream would choose another model or do more. */
const PASSED = 'dimensions encoding_format user input_type truncate truncation task task_type title normalized'.split(
  ' ',
)

/** The request as upstreams get it, but for its model and its input; null stands for absent. */
export const passedEmbeddingFields = (request: Fields): Fields =>
  Object.fromEntries(PASSED.flatMap(name => ((request[name] ?? null) === null ? [] : [[name, request[name]]])))

/** What providers put around an input. */
const ADDED_TOKENS = 8

/** The most input tokens that can be paid for: a token is at least a byte, and no input is longer than the window. */
export function mostEmbeddingTokens(input: unknown, model: CatalogEntry): number {
  const bound = (item: Item) => (typeof item === 'string' ? Buffer.byteLength(item) : item.length) + ADDED_TOKENS
  return itemsOf(input).reduce((sum, item) => sum + Math.min(bound(item), model.max_input_tokens), 0)
}

type Item = string | number[]

/** The inputs one by one: a text and a list of tokens are one input. */
export const itemsOf = (input: unknown): Item[] =>
  typeof input === 'string' || isTokens(input) ? [input as Item] : (input as Item[])

/** The inputs in parts that an upstream takes at once, in their order. */
export function partsOf(items: readonly Item[], model: CatalogEntry): Item[][] {
  const most = model.max_embedding_inputs ?? MOST_INPUTS
  const parts: Item[][] = []
  let tokens = 0
  for (const item of items) {
    const added = estimatedEmbeddingTokens(item)
    const part = parts.at(-1)
    if (part === undefined || part.length >= most || tokens + added > MOST_TOKENS_AT_ONCE) {
      parts.push([item])
      tokens = added
    } else {
      part.push(item)
      tokens += added
    }
  }
  return parts
}

export type EmbeddingFormat = 'float' | 'base64'

/**
 * The vectors of an upstream's reply in the order of its inputs, in the format that was asked for, whichever it gave;
 * base64 is little-endian float32, as OpenAI's. Undefined where one is missing or is no vector.
 */
export function vectorsOf(reply: Fields, count: number, format: EmbeddingFormat): unknown[] | undefined {
  const data = Array.isArray(reply['data']) ? (reply['data'] as Fields[]) : []
  const vectors = Array.from<unknown>({ length: count })
  data.forEach((item, position) => {
    const index = typeof item?.['index'] === 'number' ? item['index'] : position
    if (index >= 0 && index < count) vectors[index] = inFormat(item['embedding'], format)
  })
  return vectors.includes(undefined) ? undefined : vectors
}

function inFormat(vector: unknown, format: EmbeddingFormat): unknown {
  if (typeof vector === 'string') return format === 'base64' ? vector : floatsOf(vector)
  if (!isVector(vector)) return undefined
  return format === 'float' ? vector : base64Of(vector)
}

function floatsOf(base64: string): number[] | undefined {
  const bytes = Buffer.from(base64, 'base64')
  if (bytes.length === 0 || bytes.length % 4 !== 0) return undefined
  return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4))
}

function base64Of(vector: Vector): string {
  const bytes = Buffer.alloc(vector.length * 4)
  vector.forEach((value, index) => bytes.writeFloatLE(value, index * 4))
  return bytes.toString('base64')
}

/** The closed reply of an embeddings call, under the public model id. */
export const embeddingsView = (model: string, upstream: Fields, promptTokens: number): Fields => ({
  object: 'list',
  data: Array.isArray(upstream['data']) ? upstream['data'] : [],
  model,
  usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
})
