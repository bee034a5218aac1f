import { Type, type Static } from 'typebox'

const BatchEnded = Type.Object({
  status: Type.String(),
  total: Type.Integer(),
  completed: Type.Integer(),
  failed: Type.Integer(),
  cost_usd: Type.Number(),
})
const JobEnded = Type.Object({ status: Type.String(), model: Type.String(), cost_usd: Type.Number() })
const ResponseEnded = Type.Object({ status: Type.String(), model: Type.String() })
const FileChanged = Type.Object({ purpose: Type.String(), bytes: Type.Integer() })
const KeyChanged = Type.Object({ name: Type.String(), hint: Type.String() })
const CreditLow = Type.Object({ balance_usd: Type.Number(), below_usd: Type.Number() })

/**
 * Every type of event, `<kind of its subject>.<what happened>`, with the schema of its payload: ids, states and figures,
 * never content. The subject is the id of what it happened to.
 */
export const EVENT_TYPES = {
  'batch.completed': BatchEnded,
  'batch.failed': BatchEnded,
  'batch.expired': BatchEnded,
  'batch.cancelled': BatchEnded,
  'turn.completed': JobEnded,
  'turn.failed': JobEnded,
  'turn.canceled': JobEnded,
  'video.completed': JobEnded,
  'video.failed': JobEnded,
  'video.expired': JobEnded,
  'video.cancelled': JobEnded,
  /** Of background responses. */
  'response.completed': ResponseEnded,
  'response.incomplete': ResponseEnded,
  'response.failed': ResponseEnded,
  'response.cancelled': ResponseEnded,
  'file.created': FileChanged,
  'file.deleted': FileChanged,
  'key.created': KeyChanged,
  'key.revoked': KeyChanged,
  /** Of an account, once after each credit: the subject is its user. */
  'credit.low': CreditLow,
}

export type EventType = keyof typeof EVENT_TYPES
export type EventPayload<T extends EventType> = Static<(typeof EVENT_TYPES)[T]>
