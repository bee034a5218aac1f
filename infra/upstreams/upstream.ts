import type { Readable } from 'node:stream'
import type { Chunk } from './chunk.ts'

/** What upstreams call the most output tokens. */
export type OutputLimitName = 'max_tokens' | 'max_completion_tokens'

/** A server that serves models. */
export interface UpstreamSettings {
  id: string
  /** Without a trailing slash; operations such as `/chat/completions` or `/messages` are appended. */
  baseUrl: string
  apiKey: string | undefined
  /** Whether prompts leave the operator's own network. */
  external: boolean
  /** The wire format it speaks; OpenAI's unless told. */
  wire?: 'openai' | 'anthropic' | undefined
  region?: string | undefined
  /** Calls that it takes at once; any number unless told. */
  maxConcurrency?: number | undefined
  /** The one name of the output limit that it takes; both unless told. */
  outputLimitName?: OutputLimitName | undefined
  /** Whether it makes a job once for an `Idempotency-Key`. */
  idempotencyKeys?: boolean | undefined
  /** Whether it takes hints for caching prompts. */
  promptCaching?: boolean | undefined
  /** The address came from a user: it is asked through infra/outbound alone. */
  userSupplied?: boolean
}

export type UpstreamPath = '/chat/completions' | '/embeddings' | '/videos'

export interface UpstreamCall {
  path: UpstreamPath
  body: Record<string, unknown>
  signal: AbortSignal
  /** Whose turn it is where the call is so large that a thread is needed. */
  tenant?: string
  /** Sent where the upstream takes one. */
  idempotencyKey?: string | undefined
}

/** A reply's headers by their names in lower case. */
export interface ReplyHeaders {
  get(name: string): string | undefined
}

export interface UpstreamJson {
  json: Record<string, unknown>
  headers: ReplyHeaders
}

export interface UpstreamEvents {
  /**
   * The stream in its normal form, those chunks together that arrive together: never none. Rejects with UpstreamFailure
   * where the stream breaks off before the reply is whole.
   */
  events: AsyncIterable<Chunk[]>
  headers: ReplyHeaders
}

/**
 * Why a call did not succeed:
 * `rejected` the request itself is at fault · `refused` our credentials or credit there · `unknown_model` ·
 * `rate_limited` · `unavailable` 5xx, connection or a reply that is none · `timeout` · `aborted` by the signal ·
 * `busy` it was not asked, or not read, since this process had no time for so much: the cause says more.
 */
export type UpstreamFailureKind =
  'rejected' | 'refused' | 'unknown_model' | 'rate_limited' | 'unavailable' | 'timeout' | 'aborted' | 'busy'

export class UpstreamFailure extends Error {
  override name = 'UpstreamFailure'
  readonly kind: UpstreamFailureKind
  readonly status: number | undefined
  readonly retryAfterSeconds: number | undefined
  /** The upstream's own code, such as `context_length_exceeded`. */
  readonly code: string | undefined
  /** The field of the request that the upstream names. */
  readonly param: string | undefined
  /**
   * The upstream's words: they may quote the request, so they are never logged, and may hold what is nobody's business,
   * so what of them reaches a caller is decided in one place (domain/inference/provider-routes/upstream-text.rules.ts).
   */
  readonly detail: string | undefined
  /** Words of our own for the caller, where we refuse the request in the upstream's place. */
  readonly sentence: string | undefined

  constructor(
    kind: UpstreamFailureKind,
    message: string,
    details: {
      status?: number
      retryAfterSeconds?: number
      code?: string | undefined
      param?: string | undefined
      detail?: string | undefined
      sentence?: string | undefined
      cause?: unknown
    } = {},
  ) {
    super(message, { cause: details.cause })
    this.kind = kind
    this.status = details.status
    this.retryAfterSeconds = details.retryAfterSeconds
    this.code = details.code
    this.param = details.param
    this.detail = details.detail
    this.sentence = details.sentence
  }
}

/** Whether the call was ended by its signal: its client left, or its key ended. */
export const isAborted = (error: unknown): error is UpstreamFailure =>
  error instanceof UpstreamFailure && error.kind === 'aborted'

/** Something at an upstream that is only read. */
export interface UpstreamGet {
  path: string
  signal: AbortSignal
}

export interface UpstreamBytes {
  body: Readable
  /** Empty where the upstream does not say. */
  contentType: string
}

/** Sends calls to upstreams. */
export interface UpstreamClient {
  /** Errors: UpstreamFailure. */
  json(upstream: UpstreamSettings, call: UpstreamCall): Promise<UpstreamJson>
  /** A JSON object as it is, whatever it tells of. Errors: UpstreamFailure. */
  get(upstream: UpstreamSettings, get: UpstreamGet): Promise<Record<string, unknown>>
  /** Bytes as they come; their stream fails where it breaks off. Errors: UpstreamFailure. */
  download(upstream: UpstreamSettings, get: UpstreamGet): Promise<UpstreamBytes>
  /** Resolves at the first event. Errors: UpstreamFailure. */
  events(upstream: UpstreamSettings, call: UpstreamCall): Promise<UpstreamEvents>
  close(): Promise<void>
}

export interface UpstreamProbe {
  /** Asks for the list of models, which costs nothing: whether address and key are good. Errors: UpstreamFailure. */
  probe(upstream: UpstreamSettings, signal: AbortSignal): Promise<void>
}
