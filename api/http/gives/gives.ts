import type { Readable } from 'node:stream'
import type { Static, TSchema } from 'typebox'
import type { ErrorBody } from '../../../domain/core/errors.schema.ts'
import type { JsonSpec } from '../takes/takes.ts'

/** Bytes, or text made as it is sent, by media type. */
export interface BytesSpec {
  kind: 'bytes'
  types: Readonly<Record<string, TSchema>>
}

/** Server-sent events. */
export interface EventsSpec {
  kind: 'events'
}

export type GivesSpec = JsonSpec | BytesSpec | EventsSpec
/** What an operation declares: one, or one of several by the request. Without any, it answers without a body. */
export type Gives = GivesSpec | readonly GivesSpec[]

export const bytes = (types: Readonly<Record<string, TSchema>>): BytesSpec => ({ kind: 'bytes', types })
export const events = (): EventsSpec => ({ kind: 'events' })

/** A reply with more than a body. A plain value stands for `new Reply(value)`. */
export class Reply<Body = unknown> {
  readonly body: Body
  readonly headers: Record<string, string>
  readonly status: number | undefined
  constructor(body: Body, options: { headers?: Record<string, string>; status?: number } = {}) {
    this.body = body
    this.headers = options.headers ?? {}
    this.status = options.status
  }
}

/** Bytes as they come from their source; without a body (a HEAD, a 304), the head alone. */
export class Bytes {
  readonly body: Readable | undefined
  /** None where the client has the content already. */
  readonly contentType: string | undefined
  readonly headers: Record<string, string>
  readonly status: number | undefined
  constructor(
    body: Readable | undefined,
    { contentType, headers = {}, status }: { contentType?: string; headers?: Record<string, string>; status?: number },
  ) {
    this.body = body
    this.contentType = contentType
    this.headers = headers
    this.status = status
  }
}

/** A server-sent event with more than data. */
export interface NamedEvent {
  id?: string
  event: string
  data: string
}

/** An event, or its data alone. */
export type StreamEvent = string | NamedEvent

/** Makes the last event of a stream that fails, in its operation's own form; `last` is the one before. */
export type FailureEvent = (failure: ErrorBody, last: StreamEvent | undefined) => StreamEvent

/** Server-sent events (WHATWG HTML section 9.2); those that are given together leave together. */
export class EventStream {
  readonly events: AsyncIterable<StreamEvent | readonly StreamEvent[]>
  readonly headers: Record<string, string>
  /** Whether what was missed can be read later: a reader who takes nothing is then told so, and not cut off. */
  readonly resumable: boolean
  readonly failure: FailureEvent
  constructor(
    source: AsyncIterable<StreamEvent | readonly StreamEvent[]>,
    failure: FailureEvent,
    { headers = {}, resumable = false }: { headers?: Record<string, string>; resumable?: boolean } = {},
  ) {
    this.events = source
    this.failure = failure
    this.headers = headers
    this.resumable = resumable
  }
}

type ResultOfOne<G> =
  G extends JsonSpec<infer S>
    ? Static<S> | Reply<Static<S>>
    : G extends BytesSpec
      ? Bytes
      : G extends EventsSpec
        ? EventStream
        : never

/** What a handler returns. */
export type ResultOf<G extends Gives | undefined> = G extends readonly (infer One)[]
  ? ResultOfOne<One>
  : G extends GivesSpec
    ? ResultOfOne<G>
    : undefined | Reply<undefined>
