import type { Readable } from 'node:stream'
import type { Static, TObject, TSchema } from 'typebox'
import type { ErrorBody } from '../../domain/errors.schema.ts'
import type { RequestKey } from '../../domain/idempotency/idempotency.service.ts'
import type { Caller } from '../../domain/tenancy/tenancy.rules.ts'
import type { ApiDeps } from '../deps.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD'
/** `apiKey` needs a key, `optional` takes one where it comes, `none` never looks. */
export type Auth = 'apiKey' | 'optional' | 'none'

/** What the access line tells of a request besides what the pipeline knows itself. */
export interface AccessFields {
  model?: string
  tokensIn?: number
  tokensOut?: number
  costUsd?: number
}

type Infer<S> = S extends TSchema ? Static<S> : undefined

/** A checked request. Handlers see this and their dependencies, never the HTTP library's context. */
export interface RouteRequest<Params, Query, Body, A extends Auth> {
  requestId: string
  caller: A extends 'apiKey' ? Caller : A extends 'optional' ? Caller | undefined : undefined
  params: Infer<Params>
  query: Infer<Query>
  body: Infer<Body>
  /** Who asks, as far as trusted proxies tell; '' where that is not known. An IPv6 address stands for its /64. */
  clientAddress: () => string
  /** What makes the request known where it comes again: its Idempotency-Key header and what its body holds. */
  requestKey: RequestKey | undefined
  /** Counts what is about to be loaded for the request, until it is over. Errors: 503 where that is too much now. */
  hold: (bytes: number) => void
  /** Header names are in lower case. */
  header: (name: string) => string | undefined
  /** The unread body of an `upload` route. */
  upload: Readable
  /** Aborts when the client goes away: its connection closes, maybe long after the reply. */
  signal: AbortSignal
  annotate: (fields: AccessFields) => void
}

/** A reply with more than a body. A plain value stands for `{ body: value }`. */
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

/** A server-sent event with more than data. */
export interface NamedEvent {
  id?: string
  event: string
  data: string
}

/** An event, or its data alone. */
export type StreamEvent = string | NamedEvent

/** The last event of a stream that fails, in its operation's own form; `last` is the one before. */
export type TellFailure = (failure: ErrorBody, last: StreamEvent | undefined) => StreamEvent

/** Server-sent events (WHATWG HTML section 9.2); those that are given together leave together. */
export class EventStream {
  readonly events: AsyncIterable<StreamEvent | readonly StreamEvent[]>
  readonly headers: Record<string, string>
  /** Whether what was missed can be read later: a reader who takes nothing is then told so, and not cut off. */
  readonly resumable: boolean
  readonly failure: TellFailure
  constructor(
    events: AsyncIterable<StreamEvent | readonly StreamEvent[]>,
    failure: TellFailure,
    { headers = {}, resumable = false }: { headers?: Record<string, string>; resumable?: boolean } = {},
  ) {
    this.events = events
    this.failure = failure
    this.headers = headers
    this.resumable = resumable
  }
}

/** Raw bytes, or text made as it is sent. */
export interface BinaryReply {
  status?: number
  contentType: string
  headers?: Record<string, string>
  body: Readable
}

interface Declaration<
  P extends TObject | undefined,
  Q extends TObject | undefined,
  B extends TSchema | undefined,
  A extends Auth,
> {
  method: Method
  /** In OpenAPI's spelling, without the version: `/files/{file_id}/content`. */
  path: string
  /** The last parameter may hold slashes, raw or as %2F. */
  tail?: boolean
  auth: A
  summary: string
  description?: string
  params?: P
  query?: Q
  headers?: TObject
  body?: B
  /** The route reads the body itself: what it takes, by content type. */
  upload?: Record<string, TSchema>
  bodyLimitBytes?: number
  /**
   * Gives what a request with an Idempotency-Key does, where its reply is kept for one that comes again; undefined
   * where the operation sees to it itself.
   */
  repeats?(request: RouteRequest<P, Q, B, A>): string | undefined
  /** Status of a success; 200 unless told. */
  status?: number
  /** Further statuses that answer with the error body, besides the common ones. */
  errors?: Record<number, string>
}

type Handler<P, Q, B, A extends Auth, Result> = (
  request: RouteRequest<P, Q, B, A>,
  deps: ApiDeps,
) => Promise<Result> | Result

export interface JsonRoute<
  P extends TObject | undefined,
  Q extends TObject | undefined,
  B extends TSchema | undefined,
  A extends Auth,
  R extends TSchema | undefined,
> extends Declaration<P, Q, B, A> {
  reply?: R
  handle: Handler<P, Q, B, A, Infer<R> | Reply<Infer<R>>>
}

export interface StreamRoute<
  P extends TObject | undefined,
  Q extends TObject | undefined,
  B extends TSchema | undefined,
  A extends Auth,
  R extends TSchema,
> extends Declaration<P, Q, B, A> {
  reply: R
  /** Whether the request asks for a stream, which then counts against its key's limit until it ends. */
  streams: (request: RouteRequest<P, Q, B, A>) => boolean
  handle: Handler<P, Q, B, A, Static<R> | Reply<Static<R>> | EventStream>
}

export interface BinaryRoute<
  P extends TObject | undefined,
  Q extends TObject | undefined,
  A extends Auth,
> extends Declaration<P, Q, undefined, A> {
  /** What it answers with, by content type. */
  content: Record<string, TSchema>
  handle: Handler<P, Q, undefined, A, BinaryReply>
}

/** A route as the pipeline and the document see it, its handler's types forgotten. */
export interface AnyRoute extends Declaration<TObject | undefined, TObject | undefined, TSchema | undefined, Auth> {
  kind: 'json' | 'stream' | 'binary'
  reply?: TSchema | undefined
  content?: Record<string, TSchema>
  streams?(request: RouteRequest<never, never, never, never>): boolean
  handle(request: RouteRequest<never, never, never, never>, deps: ApiDeps): unknown
}

/** Declares an operation that answers with JSON (or with nothing, where it has no `reply`). */
export function route<
  P extends TObject | undefined = undefined,
  Q extends TObject | undefined = undefined,
  B extends TSchema | undefined = undefined,
  A extends Auth = Auth,
  R extends TSchema | undefined = undefined,
>(declaration: JsonRoute<P, Q, B, A, R>): AnyRoute {
  return { ...declaration, kind: 'json' } as unknown as AnyRoute
}

/** Declares an operation that answers with JSON or with server-sent events, as the request asks. */
export function streamRoute<
  R extends TSchema,
  P extends TObject | undefined = undefined,
  Q extends TObject | undefined = undefined,
  B extends TSchema | undefined = undefined,
  A extends Auth = Auth,
>(declaration: StreamRoute<P, Q, B, A, R>): AnyRoute {
  return { ...declaration, kind: 'stream' } as unknown as AnyRoute
}

/** Declares an operation that answers with bytes. */
export function binaryRoute<
  P extends TObject | undefined = undefined,
  Q extends TObject | undefined = undefined,
  A extends Auth = Auth,
>(declaration: BinaryRoute<P, Q, A>): AnyRoute {
  return { ...declaration, kind: 'binary' } as unknown as AnyRoute
}
