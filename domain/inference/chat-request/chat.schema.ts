import { Type, type Static } from 'typebox'
import { RequestedModelId } from '../catalog/catalog.schema.ts'
import { anyObject, faces, orNull } from '../../core/schemas.schema.ts'
import { PublicRequestMetadata } from '../metadata/metadata.schema.ts'
import { Usage } from '../tokens/usage.schema.ts'
import { IpopMetadata } from '../metadata/reply-metadata.schema.ts'

const Message = faces(
  anyObject(),
  Type.Object({
    role: Type.Enum(['system', 'developer', 'user', 'assistant', 'tool', 'function']),
    content: Type.Optional(
      Type.Union([Type.String(), Type.Null(), Type.Array(Type.Object({ type: Type.String({ minLength: 1 }) }))]),
    ),
  }),
)

const Tool = faces(anyObject(), Type.Object({ type: Type.String({ minLength: 1 }) }))

const EFFORTS = ['low', 'medium', 'high', 'xhigh']

export const ChatCompletionRequest = Type.Object(
  {
    model: RequestedModelId,
    messages: faces(Type.Array(anyObject()), Type.Array(Message, { minItems: 1 })),
    max_completion_tokens: Type.Optional(orNull(Type.Integer({ minimum: 1 }))),
    max_tokens: Type.Optional(orNull(Type.Integer({ minimum: 1 }))),
    metadata: Type.Optional(orNull(PublicRequestMetadata)),
    reasoning_effort: Type.Optional(
      faces(
        Type.Enum(EFFORTS, { type: 'string' }),
        Type.Union([Type.Enum(['none', 'minimal', ...EFFORTS]), Type.Null()]),
      ),
    ),
    response_format: Type.Optional(Type.Unknown()),
    service_tier: Type.Optional(
      faces(
        Type.Enum(['standard', 'priority'], { type: 'string' }),
        Type.Union([Type.Enum(['standard', 'priority', 'auto', 'default']), Type.Null()]),
      ),
    ),
    stream: Type.Optional(orNull(Type.Boolean({ default: false }))),
    temperature: Type.Optional(orNull(Type.Number())),
    tool_choice: Type.Optional(
      faces(Type.Unknown(), Type.Union([Type.String({ minLength: 1 }), anyObject(), Type.Null()])),
    ),
    tools: Type.Optional(orNull(Type.Array(Tool))),
  },
  { $id: 'ChatCompletionRequest', additionalProperties: true },
)
export type ChatCompletionRequest = Static<typeof ChatCompletionRequest> & Record<string, unknown>

export const ChatCompletionResponse = Type.Object(
  {
    id: Type.String(),
    object: Type.String(),
    created: Type.Integer(),
    model: Type.String(),
    choices: Type.Array(anyObject()),
    usage: Usage,
    ipop: IpopMetadata,
  },
  { $id: 'ChatCompletionResponse', additionalProperties: false },
)
export type ChatCompletionResponse = Static<typeof ChatCompletionResponse>
