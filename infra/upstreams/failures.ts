import { storableText } from './text.ts'
import { UpstreamFailure, type ReplyHeaders, type UpstreamFailureKind } from './upstream.ts'

const DEFAULT_RETRY_SECONDS = 5
const LONGEST_DETAIL = 2_000
const LONGEST_RETRY_SECONDS = 3600
const TIMEOUT_CODES = new Set([
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'ETIMEDOUT',
])

interface ErrorFields {
  message?: unknown
  code?: unknown
  type?: unknown
  param?: unknown
  metadata?: unknown
}

/** Codes of a request that was against the provider's policy, whatever the status. */
const POLICY_CODES = new Set(['content_policy_violation', 'content_filter', 'moderation_blocked'])

/** An upstream's words as they can be stored, and bounded. */
const storable = (text: string): string => storableText(text.slice(0, LONGEST_DETAIL))

/** The failure that a reply other than 200 stands for. */
export function failureOfReply(status: number, headers: ReplyHeaders, text: string): UpstreamFailure {
  const fields = errorFields(text)
  const stated = [fields?.code, fields?.type].find(value => typeof value === 'string')
  const code = isFlagged(fields?.metadata)
    ? 'content_policy_violation'
    : stated === undefined
      ? undefined
      : storable(stated)
  return new UpstreamFailure(kindOf(status, code), `the upstream answered ${status}`, {
    status,
    code,
    param: typeof fields?.param === 'string' ? storable(fields.param) : undefined,
    detail: typeof fields?.message === 'string' ? storable(fields.message) : undefined,
    ...(status === 429 || status === 503 ? { retryAfterSeconds: retryAfter(headers.get('retry-after')) } : {}),
  })
}

/** The failure inside a 200, where its body holds one: some upstreams report errors so once a reply has begun. */
export function failureInBody(body: Record<string, unknown>): UpstreamFailure | undefined {
  const error = typeof body['error'] === 'string' ? { message: body['error'] } : body['error']
  if (typeof error === 'object' && error !== null) {
    const { code, message, metadata } = error as ErrorFields
    const status = typeof code === 'number' && code >= 400 && code < 600 ? code : 502
    return failureOfReply(status, new Map(), JSON.stringify({ error: { message, code, metadata } }))
  }
  const choices = Array.isArray(body['choices']) ? (body['choices'] as { finish_reason?: unknown }[]) : []
  const failed = choices.some(choice => choice?.finish_reason === 'error')
  return failed ? new UpstreamFailure('unavailable', 'the upstream ended with an error', { status: 502 }) : undefined
}

/** Whatever a call threw, as a failure. */
export function failureOfThrown(error: unknown, signal: AbortSignal): UpstreamFailure {
  if (signal.aborted) return new UpstreamFailure('aborted', 'the call was aborted', { cause: error })
  if (error instanceof UpstreamFailure) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (TIMEOUT_CODES.has(code))
    return new UpstreamFailure('timeout', 'the upstream did not answer in time', { cause: error })
  return new UpstreamFailure('unavailable', `the connection failed (${code || 'broken off'})`, { cause: error })
}

function kindOf(status: number, code: string | undefined): UpstreamFailureKind {
  if (status === 404 || code === 'model_not_found') return 'unknown_model'
  if (status < 500 && code !== undefined && POLICY_CODES.has(code)) return 'rejected'
  if (status === 401 || status === 402 || status === 403) return 'refused'
  if (status === 429) return 'rate_limited'
  if (status === 408 || status >= 500 || status < 400) return 'unavailable'
  return 'rejected'
}

/** OpenRouter's 403 for a flagged input (https://openrouter.ai/docs/api/reference/errors-and-debugging): the key is good. */
function isFlagged(metadata: unknown): boolean {
  if (typeof metadata !== 'object' || metadata === null) return false
  return 'flagged_input' in metadata || ('reasons' in metadata && Array.isArray(metadata.reasons))
}

function errorFields(text: string): ErrorFields | undefined {
  try {
    const { error } = JSON.parse(text) as { error?: ErrorFields | string }
    return typeof error === 'string' ? { message: error } : error
  } catch {
    return undefined
  }
}

/** Seconds of a Retry-After header (RFC 9110 section 10.2.3): a number, which some give with a fraction, or a date. */
function retryAfter(header: string | undefined): number {
  if (header === undefined) return DEFAULT_RETRY_SECONDS
  const isNumber = /^\s*-?\d+(\.\d+)?\s*$/.test(header)
  const seconds = Math.ceil(isNumber ? Number(header) : (Date.parse(header) - Date.now()) / 1000)
  return Number.isNaN(seconds) ? DEFAULT_RETRY_SECONDS : Math.min(Math.max(seconds, 1), LONGEST_RETRY_SECONDS)
}
