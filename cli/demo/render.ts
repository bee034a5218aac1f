import { usdText } from '../../domain/money/ledger/money.rules.ts'
import { printable, shortened, table } from '../operator/text.ts'
import type { DemoResult } from './results.ts'

const TITLES = ['CUSTOM_ID', 'STATUS', 'FIRST WORDS', 'TOKENS', 'COST (USD)']
const FIGURES = ['TOKENS', 'COST (USD)']
/** Of a line, beside the first words. */
const OTHER_COLUMNS = 46
const LEAST_WORDS = 24

/** The results as a table that fits into so many columns. */
export function resultsTable(results: readonly DemoResult[], columns: number): string {
  const room = Math.max(LEAST_WORDS, columns - OTHER_COLUMNS)
  const rows = results.map(({ customId, ok, text, tokens, costNanos }) => [
    customId,
    ok ? 'completed' : 'failed',
    shortened(printable(text), room),
    ok ? String(tokens) : '-',
    ok ? aligned(usdText(costNanos)) : '-',
  ])
  return table(TITLES, rows, FIGURES)
}

/** With all nine decimals, so that the points stand under each other. */
const aligned = (usd: string): string => usd.padEnd(usd.indexOf('.') + 10, '0')
