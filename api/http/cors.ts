import type { IncomingMessage } from 'node:http'
import { DomainError } from '../../domain/core/errors.ts'

type Headers = Readonly<Record<string, string>>

/** What pages of other origins may do here (WHATWG Fetch, section 3.3): all that the key they send may. */
export interface Cors {
  /** What every reply to the request says. */
  headersOf(request: Pick<IncomingMessage, 'method' | 'headers'>): Headers
  /** What the reply to a preflight says besides. Errors: 403 where the origin is not allowed. */
  preflightHeaders(request: Pick<IncomingMessage, 'headers'>): Headers
}

const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE'
/** What a page may read of a reply besides what it always may. */
const EXPOSED = [
  'x-request-id',
  'retry-after',
  'x-should-retry',
  'x-ratelimit-limit-requests',
  'x-ratelimit-remaining-requests',
  'x-ratelimit-reset-requests',
  'x-next-cursor',
  'link',
  'x-ipop-sandbox',
  'idempotent-replayed',
  'x-ipop-renewal-secret',
  'accept-ranges',
  'content-range',
  'etag',
  'content-disposition',
  'allow',
  'www-authenticate',
].join(', ')
/** Browsers ask anew after two hours at the latest. */
const MAX_AGE_SECONDS = '7200'
const HEADER_NAME = /^[a-z0-9_.-]{1,128}$/i
const MOST_HEADER_NAMES = 100
const NONE: Headers = {}

/**
 * No credentials mode: a browser sends no cookies along, so that a page can do nothing but by a key it has.
 * `origins`: any, or those named; none where the list is empty.
 */
export function createCors(origins: '*' | readonly string[]): Cors {
  return origins === '*' ? anyOrigin : namedOrigins(new Set(origins))
}

export const isPreflight = ({ method, headers }: IncomingMessage): boolean =>
  method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined

/** Caches keep what GET gave for whoever asks next; other replies say it to browsers alone. */
const saysOrigin = ({ method, headers }: Pick<IncomingMessage, 'method' | 'headers'>): boolean =>
  headers.origin !== undefined || method === 'GET' || method === 'HEAD'

/** What is said where nobody knows who asked. */
export const headersToAnybody = (cors: Cors): Record<string, string> => ({
  ...cors.headersOf({ method: 'GET', headers: {} }),
})

const ANY: Headers = { 'access-control-allow-origin': '*', 'access-control-expose-headers': EXPOSED }
const anyOrigin: Cors = {
  headersOf: request => (saysOrigin(request) ? ANY : NONE),
  preflightHeaders,
}

function namedOrigins(origins: ReadonlySet<string>): Cors {
  const isAllowed = (origin: string | undefined): origin is string => origin !== undefined && origins.has(origin)
  return {
    headersOf: request => {
      const { origin } = request.headers
      if (!isAllowed(origin)) return saysOrigin(request) ? { vary: 'Origin' } : NONE
      return { ...ANY, 'access-control-allow-origin': origin, vary: 'Origin' }
    },
    preflightHeaders: request => {
      if (isAllowed(request.headers.origin)) return preflightHeaders(request)
      const message = 'Pages of this origin may not call this API; the operator names those that may in CORS_ORIGINS.'
      throw new DomainError(403, 'policy_violation', message, { type: 'origin_not_allowed', param: 'Origin' })
    },
  }
}

/** Any header is allowed whose name has the form of one: what it says is checked where it is read. */
function preflightHeaders({ headers }: Pick<IncomingMessage, 'headers'>): Headers {
  const asked = (headers['access-control-request-headers'] ?? '').split(',', MOST_HEADER_NAMES)
  const names = asked.map(name => name.trim()).filter(name => HEADER_NAME.test(name))
  return {
    'access-control-allow-methods': METHODS,
    'access-control-max-age': MAX_AGE_SECONDS,
    ...(names.length === 0 ? {} : { 'access-control-allow-headers': names.join(', ') }),
  }
}
