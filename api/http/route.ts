import { Type, type Static, type TObject } from 'typebox'
import type { Repeatable } from '../../domain/tenancy/idempotency/create-once.ts'
import type { ProjectScope } from '../../domain/tenancy/projects/project-scope.ts'
import type { ApiDeps } from './request/deps.ts'
import type { Auth, CallerOf, PrincipalOf, WayName } from './auth/principal.ts'
import type { Dialect } from './errors/dialects.ts'
import type { Gives, GivesSpec, ResultOf } from './gives/gives.ts'
import type { AccessFields } from './request/request-context.ts'
import type { BodyOf, Takes, TakesSpec } from './takes/takes.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD'
export type Scope = 'project'

type TextsOf<S extends TObject | undefined> = S extends TObject ? Static<S> : undefined
type ScopeOf<S extends Scope | undefined> = S extends 'project' ? ProjectScope : undefined

/** A checked request. Handlers see this and their dependencies, never the HTTP library's context. */
export interface RouteRequest<
  A extends Auth = Auth,
  S extends Scope | undefined = undefined,
  P extends TObject | undefined = undefined,
  Q extends TObject | undefined = undefined,
  H extends TObject | undefined = undefined,
  T extends Takes | undefined = undefined,
> {
  requestId: string
  principal: PrincipalOf<A>
  caller: CallerOf<A>
  /** The project of the path, where the operation has that scope. */
  scope: ScopeOf<S>
  params: TextsOf<P>
  query: TextsOf<Q>
  /** Those that are declared, under the names they are declared by. */
  headers: TextsOf<H>
  body: BodyOf<T>
  /** What makes this request one that came before, for an operation that is `idempotent`. */
  repeatable: Repeatable
  /** Counts what is about to be loaded for the request, until it is over. Errors: 503 where that is too much now. */
  hold: (bytes: number) => void
  /** Who asks, as far as trusted proxies tell; '' where that is not known. An IPv6 address stands for its /64. */
  clientAddress: () => string
  /** HEAD asks what GET would be answered, without its body (RFC 9110 section 9.3.2). */
  isHead: boolean
  /** A header of HTTP's own, such as `accept` or `range`; names are in lower case. */
  header: (name: string) => string | undefined
  /** Aborts when the client goes away: its connection closes, maybe long after the reply. */
  signal: AbortSignal
  annotate: (fields: AccessFields) => void
}

/** Everything that is true of an operation. */
interface Declaration<
  A extends Auth,
  S extends Scope | undefined,
  P extends TObject | undefined,
  Q extends TObject | undefined,
  H extends TObject | undefined,
  T extends Takes | undefined,
  G extends Gives | undefined,
> {
  method: Method
  /** In OpenAPI's spelling, without the version: `/files/{file_id}/content`. */
  path: string
  /** The last parameter may hold slashes, raw or as %2F. */
  tail?: boolean
  /** The ways in, in the order tried. */
  auth: A
  /** `project`: the `project_id` of the path is loaded before the handler; unknown and foreign alike are 404. */
  scope?: S
  summary: string
  description?: string
  params?: P
  query?: Q
  headers?: H
  takes?: T
  gives?: G
  /** Status of a success; 200 unless told, 204 where nothing is given. */
  status?: number
  /** Further statuses that answer with the error body, besides the common ones. */
  errors?: Record<number, string>
  /** How errors are told; `ipop` unless told. */
  dialect?: Dialect
  /**
   * Takes an Idempotency-Key. `true`: the service makes its resource once (createOnce). A function: whether the reply
   * of this request is kept and given again to one that repeats it; else the service sees to it.
   */
  idempotent?: true | ((request: RouteRequest<A, S, P, Q, H, T>) => boolean)
  /** Whether the request asks for events, which then count against its key's limit until they end. */
  streams?: (request: RouteRequest<A, S, P, Q, H, T>) => boolean
  handle: (request: RouteRequest<A, S, P, Q, H, T>, deps: ApiDeps) => Promise<ResultOf<G>> | ResultOf<G>
}

/** A route as the pipeline and the document see it, its handler's types forgotten. */
export interface AnyRoute {
  readonly method: Method
  readonly path: string
  readonly tail: boolean
  readonly auth: readonly WayName[]
  readonly scope: Scope | undefined
  readonly summary: string
  readonly description: string | undefined
  readonly params: TObject | undefined
  readonly query: TObject | undefined
  readonly headers: TObject | undefined
  readonly takes: readonly TakesSpec[]
  readonly gives: readonly GivesSpec[]
  readonly status: number
  readonly errors: Record<number, string>
  readonly dialect: Dialect
  readonly idempotent: boolean
  /** Whether its bodies or replies may take long: they are streams of bytes. */
  readonly isLong: boolean
  keepsReply?(request: AnyRequest): boolean
  streams?(request: AnyRequest): boolean
  handle(request: AnyRequest, deps: ApiDeps): unknown
}

/** A request of whatever route, for what all of them share. */
export type AnyRequest = RouteRequest<Auth, Scope | undefined>

/** Declares an operation. */
export function route<
  A extends Auth,
  S extends Scope | undefined = undefined,
  P extends TObject | undefined = undefined,
  Q extends TObject | undefined = undefined,
  H extends TObject | undefined = undefined,
  T extends Takes | undefined = undefined,
  G extends Gives | undefined = undefined,
>(declaration: Declaration<A, S, P, Q, H, T, G>): AnyRoute {
  const { idempotent } = declaration
  const takes = [declaration.takes ?? []].flat() as TakesSpec[]
  const gives = [declaration.gives ?? []].flat() as GivesSpec[]
  const made: Omit<AnyRoute, 'handle'> = {
    method: declaration.method,
    path: declaration.path,
    tail: declaration.tail ?? false,
    auth: [declaration.auth].flat() as WayName[],
    scope: declaration.scope,
    summary: declaration.summary,
    description: declaration.description,
    params: declaration.params,
    query: declaration.query,
    headers: idempotent === undefined ? declaration.headers : withIdempotencyKey(declaration.headers),
    takes,
    gives,
    status: declaration.status ?? (gives.length === 0 ? 204 : 200),
    errors: declaration.errors ?? {},
    dialect: declaration.dialect ?? 'ipop',
    idempotent: idempotent !== undefined,
    isLong: takes.some(({ kind }) => kind !== 'json') || gives.some(({ kind }) => kind === 'bytes'),
  }
  return {
    ...made,
    handle: declaration.handle as unknown as AnyRoute['handle'],
    ...(typeof idempotent === 'function' && { keepsReply: idempotent as unknown as AnyRoute['streams'] }),
    ...(declaration.streams && { streams: declaration.streams as unknown as AnyRoute['streams'] }),
  } as AnyRoute
}

const withIdempotencyKey = (headers: TObject | undefined): TObject =>
  Type.Object({ ...headers?.properties, 'Idempotency-Key': Type.Optional(Type.String({ maxLength: 255 })) })
