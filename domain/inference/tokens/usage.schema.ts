import { Type, type Static } from 'typebox'

export const Usage = Type.Object(
  {
    prompt_tokens: Type.Integer(),
    completion_tokens: Type.Integer(),
    total_tokens: Type.Integer(),
    prompt_tokens_details: Type.Optional(
      Type.Object(
        { cached_tokens: Type.Optional(Type.Integer()), cache_creation_input_tokens: Type.Optional(Type.Integer()) },
        { additionalProperties: true },
      ),
    ),
    completion_tokens_details: Type.Optional(
      Type.Object({ reasoning_tokens: Type.Optional(Type.Integer()) }, { additionalProperties: true }),
    ),
  },
  { $id: 'Usage', additionalProperties: false },
)

export type Usage = Static<typeof Usage>
