import { UpstreamFailure } from '../upstream.ts'

export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter' | 'function_call'

/** Providers' own words for how a reply ended. */
const WORDS: Record<FinishReason, string> = {
  stop: 'stop eos eos_token end_turn stop_sequence complete completed finished done',
  length: 'length max_tokens max_output_tokens model_length model_context_window_exceeded',
  tool_calls: 'tool_calls tool_call tool_use',
  content_filter:
    'content_filter content_filtered safety recitation prohibited_content blocklist spii refusal sensitive guardrail_intervened ' +
    'image_safety image_prohibited_content image_recitation',
  function_call: 'function_call',
}
const REASONS = new Map(
  Object.entries(WORDS).flatMap(([reason, words]) => words.split(' ').map(word => [word, reason as FinishReason])),
)
/** Words for a reply that its upstream gave up. */
const FAILURES = new Set('error abort aborted cancelled insufficient_system_resource network_error'.split(' '))

/**
 * How a choice ended; undefined while it has not. A word that is not known is an end like any other.
 * Errors: UpstreamFailure where the word is one for a failure.
 */
export function finishOf(word: unknown): FinishReason | undefined {
  if (typeof word !== 'string' || word === '' || word === 'null') return undefined
  const known = word.toLowerCase()
  if (FAILURES.has(known)) {
    throw new UpstreamFailure('unavailable', 'the upstream ended with an error', { status: 502 })
  }
  return REASONS.get(known) ?? 'stop'
}

/** An end that contradicts what came: calls were made or they were not, whatever the word says. */
export function settledFinish(reason: FinishReason, hasCalls: boolean): FinishReason {
  if (reason === 'stop' && hasCalls) return 'tool_calls'
  return reason === 'tool_calls' && !hasCalls ? 'stop' : reason
}

/** A reply of which nothing came: no text, no call, no word of an end. */
export const nothingCame = (): UpstreamFailure =>
  new UpstreamFailure('unavailable', 'the reply is empty', { status: 502 })
