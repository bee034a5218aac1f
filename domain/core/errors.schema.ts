import { Type, type Static } from 'typebox'

const ERROR_CODES = [
  'bad_request',
  'capacity_unavailable',
  'context_length_exceeded',
  'model_not_allowed',
  'model_unavailable',
  'payment_required',
  'policy_violation',
  'rate_limit_exceeded',
  'service_unavailable',
  'unauthorized',
] as const

/** The closed error body of every operation. `error` is a sentence: SDKs show it where it is a string. */
export const ErrorBody = Type.Object(
  {
    code: Type.Enum([...ERROR_CODES], { type: 'string' }),
    error: Type.String(),
    error_type: Type.Optional(Type.String()),
    message: Type.Optional(Type.String()),
    param: Type.Optional(Type.String()),
    request_id: Type.String(),
    retry_after_seconds: Type.Optional(Type.Integer()),
    retryable: Type.Boolean(),
  },
  { $id: 'Error', additionalProperties: false },
)
export type ErrorBody = Static<typeof ErrorBody>
