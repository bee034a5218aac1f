import { inTransaction, type Database, type Transaction } from '../../../infra/postgres/database.ts'
import { usdText } from '../ledger/money.rules.ts'
import {
  beginVerification,
  COMPARISONS,
  countPopulation,
  selectDifferences,
  type Comparison,
  type DifferenceRow,
} from './verify.sql.ts'

/** Two figures that should be the same. Money is USD as text, counts are whole numbers; null is a missing row. */
export interface Difference {
  /** Of the account, hold, call, hour or batch. */
  id: string
  field: string
  /** By the rows that it stands for. */
  expected: string | null
  /** As stored. */
  found: string | null
}

export interface LedgerCheck {
  name: string
  ok: boolean
  detail: string
  /** The first hundred. */
  differences: Difference[]
}

export interface LedgerVerification {
  ok: boolean
  checks: LedgerCheck[]
}

const MOST_DIFFERENCES = 100

/**
 * Proves that the books agree: balances with entries, holds with charges and jobs, charges with calls, hourly totals
 * and batches with calls. One snapshot, so it may run while calls are made. It reads whole tables: minutes on many
 * millions of rows.
 */
export async function verifyLedger(deps: { db: Database }): Promise<LedgerVerification> {
  const checks = await inTransaction(deps.db, async tx => {
    await beginVerification(tx)
    const done: LedgerCheck[] = []
    for (const comparison of COMPARISONS) done.push(await check(tx, comparison))
    return done
  })
  return { ok: checks.every(({ ok }) => ok), checks }
}

async function check(tx: Transaction, comparison: Comparison): Promise<LedgerCheck> {
  const count = await countPopulation(tx, comparison)
  const rows = await selectDifferences(tx, comparison, MOST_DIFFERENCES)
  const differing = rows[0]?.differing ?? 0n
  const outcome = differing === 0n ? 'all agree' : `${differing} ${differing === 1n ? 'difference' : 'differences'}`
  return {
    name: comparison.name,
    ok: differing === 0n,
    detail: `${comparison.subject}: ${count} checked, ${outcome}`,
    differences: rows.map(differenceOf),
  }
}

function differenceOf({ id, field, expected, found }: DifferenceRow): Difference {
  const money = field.endsWith('_nanos')
  const text = (value: bigint | null) => (value === null ? null : money ? `${usdText(value)} USD` : value.toString())
  return { id, field: money ? field.slice(0, -'_nanos'.length) : field, expected: text(expected), found: text(found) }
}
