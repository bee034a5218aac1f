import { Type, type Static } from 'typebox'
import { faces } from '../../core/schemas.schema.ts'

const LONGEST_RETENTION_DAYS = 3_650
const MOST_CHARACTERS = 1_000_000

const nullableText = Type.Unsafe<string | null>({ type: ['string', 'null'], maxLength: 100 })

export const ContentCapturePolicy = Type.Object(
  {
    mode: Type.Enum(['off', 'sampled', 'all']),
    sample_rate: Type.Number({ minimum: 0, maximum: 1 }),
    retention_days: faces(Type.Integer({ minimum: 1 }), Type.Integer({ minimum: 1, maximum: LONGEST_RETENTION_DAYS })),
    redact: Type.Boolean(),
    redaction_rule_id: Type.Optional(faces(Type.Unsafe({ type: ['string', 'null'] }), nullableText)),
    max_chars_per_message: faces(Type.Integer({ minimum: 1 }), Type.Integer({ minimum: 1, maximum: MOST_CHARACTERS })),
  },
  { $id: 'ContentCapturePolicy', additionalProperties: false },
)
export type ContentCapturePolicy = Static<typeof ContentCapturePolicy>
