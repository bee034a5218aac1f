import { failureOfReply } from '../failures.ts'
import { isFields } from '../json.ts'
import { UpstreamFailure, type ReplyHeaders, type UpstreamFailureKind } from '../upstream.ts'

/** The status that stands for each type of error (https://platform.claude.com/docs/en/api/errors). */
const STATUSES = new Map([
  ['invalid_request_error', 400],
  ['authentication_error', 401],
  ['billing_error', 402],
  ['permission_error', 403],
  ['not_found_error', 404],
  ['request_too_large', 413],
  ['rate_limit_error', 429],
  ['api_error', 500],
  ['timeout_error', 504],
  ['overloaded_error', 529],
])

/** "prompt is too long: … tokens > … maximum" and "input length and `max_tokens` exceed context limit: …". */
const CONTEXT_TOO_LONG = /prompt is too long|exceed context limit|exceeds? the (model's )?context/i
/** Told as an invalid request: "Your credit balance is too low to access the Anthropic API." */
const NO_CREDIT = /credit balance is too low/i

/** The failure that a reply other than 200 stands for. */
export function failureOfAnthropic(status: number, headers: ReplyHeaders, text: string): UpstreamFailure {
  const { message, retryAfterSeconds, detail, ...reported } = failureOfReply(status, headers, text)
  const isTooLong = reported.kind === 'rejected' && CONTEXT_TOO_LONG.test(detail ?? '')
  return new UpstreamFailure(kindOf(reported.kind, status, detail ?? ''), message, {
    status,
    code: isTooLong ? 'context_length_exceeded' : reported.code,
    detail,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  })
}

/** The failure of an `error` event, or of a 200 that holds an error. */
export function failureOfError(error: unknown): UpstreamFailure {
  const type = isFields(error) && typeof error['type'] === 'string' ? error['type'] : 'api_error'
  return failureOfAnthropic(STATUSES.get(type) ?? 500, new Map(), JSON.stringify({ error }))
}

/** Anthropic tells an unknown model as "model: …"; any other 404 is of an address that is not its API. */
function kindOf(kind: UpstreamFailureKind, status: number, detail: string): UpstreamFailureKind {
  if (status === 404) return /\bmodel\b/i.test(detail) ? 'unknown_model' : 'unavailable'
  return kind === 'rejected' && NO_CREDIT.test(detail) ? 'refused' : kind
}

/** A request that Anthropic's format has no words for; the sentence names the field. */
export const inexpressible = (sentence: string): UpstreamFailure =>
  new UpstreamFailure('rejected', "the request cannot be told in Anthropic's format", { status: 400, sentence })
