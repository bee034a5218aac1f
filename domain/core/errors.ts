/**
 * The product's errors: thrown anywhere, mapped to the wire once (api/http/errors.ts).
 * Pure, so that rules and workflows can use it.
 */
export type ErrorCode =
  | 'bad_request'
  | 'capacity_unavailable'
  | 'context_length_exceeded'
  | 'model_not_allowed'
  | 'model_unavailable'
  | 'payment_required'
  | 'policy_violation'
  | 'rate_limit_exceeded'
  | 'service_unavailable'
  | 'unauthorized'

export interface ErrorDetails {
  /** A finer kind within the code, such as `not_found`. */
  type?: string
  /** The field of the request that is at fault, as a path: `messages.0.role`. */
  param?: string
  retryAfterSeconds?: number
  /** Whether the same request may succeed later; told by status and code unless given. */
  retryable?: boolean
  cause?: unknown
}

/** A failure the caller is told of. `message` is a sentence for them: it holds no secret, prompt or completion. */
export class DomainError extends Error {
  readonly status: number
  readonly code: ErrorCode
  readonly type: string | undefined
  readonly param: string | undefined
  readonly retryAfterSeconds: number | undefined
  /** Whether the same request may succeed later, unchanged. */
  readonly retryable: boolean

  constructor(status: number, code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause })
    this.name = 'DomainError'
    this.status = status
    this.code = code
    this.type = details.type
    this.param = details.param
    this.retryAfterSeconds = details.retryAfterSeconds
    this.retryable = details.retryable ?? (status === 429 || status >= 500 || code === 'capacity_unavailable')
  }
}

export const badRequest = (message: string, param?: string, type = 'invalid_request') =>
  new DomainError(400, 'bad_request', message, { type, ...(param === undefined ? {} : { param }) })

/** The same for unknown ids and for those of another tenant: nobody learns what exists elsewhere. */
export const notFound = (what: string, param?: string) =>
  new DomainError(404, 'bad_request', `There is no such ${what}.`, {
    type: 'not_found',
    ...(param === undefined ? {} : { param }),
  })

export const conflict = (message: string, param?: string) =>
  new DomainError(409, 'bad_request', message, { type: 'conflict', ...(param === undefined ? {} : { param }) })

export const unauthorized = (message: string) => new DomainError(401, 'unauthorized', message, { type: 'unauthorized' })

export const paymentRequired = (message: string) =>
  new DomainError(402, 'payment_required', message, { type: 'insufficient_credit' })

/** Whether the account's credit does not cover what was asked. */
export const isPaymentRequired = (error: unknown): error is DomainError =>
  error instanceof DomainError && error.status === 402

/** The account's free credit is less than what is needed. */
export class InsufficientCredit extends DomainError {
  readonly freeNanos: bigint
  constructor(message: string, freeNanos: bigint) {
    super(402, 'payment_required', message, { type: 'insufficient_credit' })
    this.freeNanos = freeNanos
  }
}

/** What was asked of a range lies outside of the bytes. */
export class RangeNotSatisfiable extends DomainError {
  /** Of the whole, where it is known. */
  readonly sizeBytes: number | undefined
  constructor(sizeBytes?: number) {
    const bytes = sizeBytes === undefined ? 'bytes' : `${sizeBytes} bytes`
    super(416, 'bad_request', `The range lies outside of the ${bytes}.`, {
      type: 'range_not_satisfiable',
      param: 'Range',
    })
    this.sizeBytes = sizeBytes
  }
}

export const rateLimited = (message: string, retryAfterSeconds: number) =>
  new DomainError(429, 'rate_limit_exceeded', message, { type: 'rate_limit', retryAfterSeconds })

export const serviceUnavailable = (message: string, retryAfterSeconds: number, cause?: unknown) =>
  new DomainError(503, 'service_unavailable', message, { type: 'service_unavailable', retryAfterSeconds, cause })
