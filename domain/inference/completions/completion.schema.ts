import { Type, type Static } from 'typebox'
import { ChatCompletionRequest } from '../chat-request/chat.schema.ts'
import { IpopMetadata } from '../metadata/reply-metadata.schema.ts'
import { Usage } from '../tokens/usage.schema.ts'
import { faces, nullableObject, orNull } from '../../core/schemas.schema.ts'

/** Each is a model call of its own. */
export const MOST_PROMPTS = 8
const Text = Type.String({ minLength: 1 })
const { model, metadata, service_tier, stream, temperature } = ChatCompletionRequest.properties

export const CompletionRequest = Type.Object(
  {
    model,
    prompt: faces(
      Type.Unsafe({ oneOf: [Type.String(), Type.Array(Type.String())] }),
      // Tokens are let through to be refused by a sentence of their own.
      Type.Union([Text, Type.Array(Type.Union([Text, Type.Number(), Type.Array(Type.Number())]), { minItems: 1 })]),
    ),
    max_tokens: Type.Optional(orNull(Type.Integer({ minimum: 1, default: 16 }))),
    echo: Type.Optional(orNull(Type.Boolean({ default: false }))),
    n: Type.Optional(orNull(Type.Integer({ minimum: 1 }))),
    stop: Type.Optional(
      Type.Union([Type.String(), Type.Array(Type.String(), { maxItems: 4 }), Type.Null()], {
        description: 'Up to four texts before which the completion ends.',
      }),
    ),
    metadata,
    service_tier,
    stream,
    temperature,
  },
  { $id: 'CompletionRequest', additionalProperties: true },
)
export type CompletionRequest = Static<typeof CompletionRequest> & Record<string, unknown>

const CompletionChoice = Type.Object(
  {
    text: Type.String(),
    index: Type.Integer(),
    logprobs: Type.Optional(Type.Null()),
    finish_reason: Type.Union([Type.String(), Type.Null()]),
    error: Type.Optional(nullableObject()),
  },
  { $id: 'CompletionChoice' },
)
export type CompletionChoice = Static<typeof CompletionChoice>

export const CompletionResponse = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('text_completion'),
    created: Type.Integer(),
    model: Type.String(),
    choices: Type.Array(CompletionChoice),
    usage: Usage,
    ipop: IpopMetadata,
  },
  { $id: 'CompletionResponse', additionalProperties: false },
)
export type CompletionResponse = Static<typeof CompletionResponse>
