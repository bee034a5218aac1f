import { Type, type Static } from 'typebox'
import { RequestedModelId } from '../catalog/catalog.schema.ts'
import { IpopMetadata } from '../metadata/reply-metadata.schema.ts'
import { Usage } from '../tokens/usage.schema.ts'
import { PublicRequestMetadata } from '../metadata/metadata.schema.ts'
import { anyObject, faces, orNull } from '../../core/schemas.schema.ts'

const Input = faces(
  Type.Union([Type.String(), Type.Array(Type.String())]),
  Type.Union([Type.String(), Type.Array(Type.Unknown())]),
)

export const EmbeddingsRequest = Type.Object(
  {
    model: RequestedModelId,
    input: Input,
    dimensions: Type.Optional(orNull(Type.Integer({ minimum: 1 }))),
    encoding_format: Type.Optional(
      orNull(Type.Unsafe<'float' | 'base64'>({ type: 'string', enum: ['float', 'base64'] })),
    ),
    metadata: Type.Optional(orNull(PublicRequestMetadata)),
  },
  { $id: 'EmbeddingsRequest', additionalProperties: true },
)
export type EmbeddingsRequest = Static<typeof EmbeddingsRequest> & Record<string, unknown>

export const EmbeddingsResponse = Type.Object(
  {
    id: Type.String(),
    object: Type.String(),
    created: Type.Integer(),
    model: Type.String(),
    data: Type.Array(anyObject()),
    usage: Usage,
    ipop: IpopMetadata,
  },
  { $id: 'EmbeddingsResponse', additionalProperties: false },
)
export type EmbeddingsResponse = Static<typeof EmbeddingsResponse>
