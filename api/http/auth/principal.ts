import type { Caller } from '../../../domain/core/caller.rules.ts'

/** A request that came by an API key, however that was sent. */
export interface KeyPrincipal {
  kind: 'key'
  caller: Caller
}

/** A request of the operator's, by the admin token. */
export interface AdminPrincipal {
  kind: 'admin'
}

/** A request by a signed link, which names what it may read. */
export interface LinkPrincipal {
  kind: 'link'
}

/** A request that nobody had to authenticate. */
export interface AnonymousPrincipal {
  kind: 'anonymous'
}

/** Who has come in, by way. */
export interface PrincipalByWay {
  apiKey: KeyPrincipal
  bearer: KeyPrincipal
  queryKey: KeyPrincipal
  admin: AdminPrincipal
  signedLink: LinkPrincipal
  none: AnonymousPrincipal
}

/** A way in. `none` as the last of several lets in who has nothing to show. */
export type WayName = keyof PrincipalByWay
export type Principal = PrincipalByWay[WayName]

/** What an operation declares: a way, or several in the order tried. */
export type Auth = WayName | readonly WayName[]

type WaysOf<A extends Auth> = A extends readonly WayName[] ? A[number] : A

/** Who a handler may meet, where its operation takes these ways. */
export type PrincipalOf<A extends Auth> = PrincipalByWay[Extract<WaysOf<A>, WayName>]

/** The key's owner and rules: always there where every way is a key's, never where none is. */
export type CallerOf<A extends Auth> = [PrincipalOf<A>] extends [KeyPrincipal]
  ? Caller
  : [Extract<PrincipalOf<A>, KeyPrincipal>] extends [never]
    ? undefined
    : Caller | undefined
