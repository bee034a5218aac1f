import type { Log } from '../../../infra/log.ts'
import { nanosOfUsd, type Nanos } from '../../money/ledger/money.rules.ts'

type Fields = Record<string, unknown>

/** What a provider's reply says that it costs, as a number or the text of one; undefined where it says nothing to be believed. */
export function reportedCost({ usage }: Fields): Nanos | undefined {
  const told = typeof usage === 'object' && usage !== null ? (usage as Fields)['cost'] : undefined
  const cost = typeof told === 'string' && /^\d{1,6}(\.\d{1,12})?$/.test(told) ? Number(told) : told
  return typeof cost === 'number' && cost >= 0 && cost < 1_000_000 ? nanosOfUsd(cost) : undefined
}

/**
 * What is charged of a provider's figure, or of the usual price where it tells none: never more than was reserved. The
 * rest is the operator's, whose catalog is wrong then. `of` says what it was, for the log.
 */
export function boundedCost(
  log: Log,
  { costNanos, reservedNanos }: { costNanos: Nanos; reservedNanos: Nanos },
  of: { id: string; model: string },
): Nanos {
  if (costNanos <= reservedNanos) return costNanos
  log.error({ ...of, costNanos: String(costNanos) }, 'the provider charges more than the catalog says')
  return reservedNanos
}
