import type { ReplyBody } from './exchange.ts'
import type { Chunk } from './chunk.ts'
import type { ReplyHeaders, UpstreamCall, UpstreamFailure, UpstreamSettings } from './upstream.ts'

/**
 * A wire format that upstreams speak. The rest of the product speaks OpenAI's chat completions: a wire translates calls
 * to its own format and what comes back from it.
 */
export interface Wire {
  /** How the upstream is told the key. */
  keyHeaders(upstream: UpstreamSettings): Record<string, string>
  /** The HTTP request of a call. Errors: UpstreamFailure where the format has no words for it. */
  requestOf(call: UpstreamCall): { path: string; body: object }
  /** The failure that a reply other than 200 stands for. */
  failureOf(status: number, headers: ReplyHeaders, text: string): UpstreamFailure
  /** A whole reply of the call, of a chat in its normal form. Errors: UpstreamFailure where it is none, or holds an error. */
  replyOf(call: UpstreamCall, body: Record<string, unknown>): Record<string, unknown>
  /** The chunks of a stream, those together that arrive together. Rejects with UpstreamFailure; with what ends the whole reply before its first. */
  eventsOf(call: UpstreamCall, body: ReplyBody): AsyncGenerator<Chunk[], void, undefined>
}
