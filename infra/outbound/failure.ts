/**
 * Why something outside could not be had: `refused` the address is none that may be asked, or does not resolve (the
 * two look the same, so that nobody learns which names exist inside) · `unavailable` · `timeout` · `status` other
 * than 200, redirects included · `type` not what was asked for · `too_large` · `aborted` by the signal.
 */
export type OutboundFailureKind = 'refused' | 'unavailable' | 'timeout' | 'status' | 'type' | 'too_large' | 'aborted'

/** The message holds no address: what a name resolves to is nobody's business outside. */
export class OutboundFailure extends Error {
  override name = 'OutboundFailure'
  readonly kind: OutboundFailureKind
  readonly code: string
  readonly status: number | undefined

  constructor(kind: OutboundFailureKind, message: string, details: { status?: number; cause?: unknown } = {}) {
    super(message, { cause: details.cause })
    this.kind = kind
    this.code = `OUTBOUND_${kind.toUpperCase()}`
    this.status = details.status
  }
}

export const refused = (cause?: unknown): OutboundFailure =>
  new OutboundFailure('refused', 'the address is not one of a public host', { cause })
