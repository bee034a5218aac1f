import { redactedText } from './redaction.rules.ts'
import type { ContentPolicy } from '../../core/caller.rules.ts'

/** A call's content as it is kept beside its record. */
export interface KeptContent {
  request: object
  reply: string
  /** Whether redaction or a limit has changed the request: then it is not what was asked, and cannot be replayed. */
  redacted: boolean
  truncated: boolean
  expiresAt: Date
}

export interface CallContent {
  requestId: string
  request: object
  reply: string
  at: Date
}

const DAY_MS = 24 * 3_600_000
/** Of one request in all, whatever its policy allows a message. */
const MOST_CHARACTERS = 4_000_000
/** Looked at behind a limit, so that a secret that the limit would cut is still found whole. */
const MARGIN = 8_192
/** Kept elsewhere (the metadata, with the call's record), or meaningless to a replay. */
const LEFT_OUT = new Set(['metadata', 'stream', 'stream_options'])

/** What the policy keeps of a call; undefined where that is nothing, or where there is no policy. */
export function contentToKeep(policy: ContentPolicy | null, call: CallContent): KeptContent | undefined {
  if (!isKept(policy, call.requestId)) return undefined
  const request = keptRequest(call.request, policy)
  const reply = keptText(call.reply, policy, policy.max_chars_per_message)
  return {
    ...request,
    reply: reply.text.replaceAll('\0', '\ufffd').toWellFormed(),
    expiresAt: new Date(call.at.getTime() + policy.retention_days * DAY_MS),
  }
}

/** Whether the policy keeps anything of a call. */
export function isKept(policy: ContentPolicy | null, requestId: string): policy is ContentPolicy {
  if (policy === null || policy.mode === 'off') return false
  return policy.mode === 'all' || sampleOf(requestId) < policy.sample_rate
}

/** A number from 0 to 1, evenly spread: the random end of the request's UUIDv7 (RFC 9562). The same id gives the same. */
export const sampleOf = (requestId: string): number => Number.parseInt(requestId.slice(-12), 16) / 2 ** 48

interface Changes {
  redacted: boolean
  truncated: boolean
}

/** Every message, and every other field, has the policy's characters for all its texts together. */
function keptRequest(request: object, policy: ContentPolicy): Changes & { request: object } {
  const changes: Changes = { redacted: false, truncated: false }
  let left = MOST_CHARACTERS
  const keptPart = (part: unknown) => {
    const budget = { left: Math.min(left, policy.max_chars_per_message) }
    const before = budget.left
    const kept = keptValue(part, policy, budget, changes)
    left -= before - budget.left
    return kept
  }
  const fields = Object.entries(request).filter(([name]) => !LEFT_OUT.has(name))
  const kept = fields.map(([name, value]: [string, unknown]) => [
    name,
    name === 'messages' && Array.isArray(value) ? value.map(keptPart) : keptPart(value),
  ])
  return { ...changes, request: Object.fromEntries(kept) as object }
}

/** The value with every text in it, names of fields too, redacted and cut to what is left of the budget. */
function keptValue(value: unknown, policy: ContentPolicy, budget: { left: number }, changes: Changes): unknown {
  if (typeof value === 'string') {
    const { text, ...changed } = keptText(value, policy, budget.left)
    budget.left -= text.length
    changes.redacted ||= changed.redacted
    changes.truncated ||= changed.truncated
    return text
  }
  const inner = (item: unknown) => keptValue(item, policy, budget, changes)
  if (Array.isArray(value)) return value.map(inner)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [inner(name), inner(item)]) as [string, unknown][],
  )
}

/** Redacted first, then cut: the other way round, the first half of a secret would stay. */
function keptText(whole: string, policy: ContentPolicy, limit: number): Changes & { text: string } {
  const looked = whole.slice(0, limit + MARGIN)
  const found = policy.redact ? redactedText(looked, policy.redaction_rule_id) : looked
  // What stands last in a part that goes on may be half of something.
  const whatIsSure = looked.length < whole.length ? Math.max(0, found.length - MARGIN) : found.length
  const text = found.slice(0, Math.min(limit, whatIsSure))
  return { text, redacted: found !== looked, truncated: looked.length < whole.length || text.length < found.length }
}
