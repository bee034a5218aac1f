import { Type, type Static } from 'typebox'
import { countTextTokens, textOfTokens } from '../infra/tokenizer/text-tokens.ts'
import { checkerOf } from './checked.ts'
import { embeddingOf } from './embedding.ts'
import { invalidRequest } from './openai-error.ts'

const DEFAULT_DIMENSIONS = 256
const MAX_INPUTS = 2048

const Tokens = Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1 })
const EmbeddingsRequest = Type.Object({
  model: Type.String({ minLength: 1 }),
  input: Type.Union([Type.String(), Tokens, Type.Array(Type.Union([Type.String(), Tokens]), { minItems: 1 })]),
  dimensions: Type.Optional(Type.Integer({ minimum: 1, maximum: 8192 })),
  encoding_format: Type.Optional(Type.Enum(['float', 'base64'])),
})
type EmbeddingsRequest = Static<typeof EmbeddingsRequest>

const checked = checkerOf(EmbeddingsRequest)

/** The reply to POST /v1/embeddings. Errors: 400 for a bad body, an empty text or too many. */
export function embeddingsReply(body: unknown): object {
  const request = checked(body)
  const texts = inputsOf(request.input).map(textOf)
  if (texts.includes('')) throw invalidRequest('input', "'input' must not hold an empty text.")
  if (texts.length > MAX_INPUTS) throw invalidRequest('input', `'input' holds more than ${MAX_INPUTS} texts.`)
  const tokens = texts.reduce((total, text) => total + countTextTokens(text), 0)
  const data = texts.map((text, index) => ({ object: 'embedding', index, embedding: encoded(text, request) }))
  return { object: 'list', data, model: request.model, usage: { prompt_tokens: tokens, total_tokens: tokens } }
}

type Input = string | number[]

function inputsOf(input: EmbeddingsRequest['input']): Input[] {
  if (typeof input === 'string') return [input]
  return isTokens(input) ? [input] : input
}

function isTokens(input: readonly unknown[]): input is number[] {
  return typeof input[0] === 'number'
}

/** Clients that send tokens use cl100k_base, OpenAI's encoding for embeddings; unknown ids stand for themselves. */
function textOf(input: Input): string {
  return typeof input === 'string' ? input : (textOfTokens(input, 'cl100k_base') ?? input.join(' '))
}

function encoded(text: string, request: EmbeddingsRequest): number[] | string {
  const vector = embeddingOf(text, request.dimensions ?? DEFAULT_DIMENSIONS)
  return request.encoding_format === 'base64' ? littleEndian(vector).toString('base64') : [...vector]
}

function littleEndian(vector: Float32Array): Buffer {
  const bytes = Buffer.alloc(vector.length * 4)
  vector.forEach((value, i) => bytes.writeFloatLE(value, i * 4))
  return bytes
}
