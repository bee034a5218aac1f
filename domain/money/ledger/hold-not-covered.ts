/** The account does not cover a hold, since so much of it is leased to processes or not there at all. */
export class HoldNotCovered extends Error {
  override name = 'HoldNotCovered'
  /** What the caller is told. */
  readonly refusal: Error
  readonly leasedNanos: bigint

  constructor(refusal: Error, leasedNanos: bigint) {
    super('the account does not cover the hold')
    this.refusal = refusal
    this.leasedNanos = leasedNanos
  }
}
