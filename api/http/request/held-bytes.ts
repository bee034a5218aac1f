import { serviceUnavailable } from '../../../domain/core/errors.ts'
import type { ByteBudget } from '../../../infra/byte-budget.ts'

const RETRY_SECONDS = 5

/** What a request holds of its process's memory until it is over, where that is much. */
export class HeldBytes {
  private readonly budget: ByteBudget
  private readonly tenantOf: () => string
  private releases: (() => void)[] | undefined

  constructor(budget: ByteBudget, tenantOf: () => string) {
    this.budget = budget
    this.tenantOf = tenantOf
  }

  /** Errors: 503 where too much is held already. */
  take(bytes: number): void {
    const release = this.budget.take(this.tenantOf(), bytes)
    if (release === undefined)
      throw serviceUnavailable('Too much data is being worked on at once right now.', RETRY_SECONDS)
    this.releases ??= []
    this.releases.push(release)
  }

  release(): void {
    this.releases?.forEach(release => release())
  }
}
