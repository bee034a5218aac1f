import { InvalidArgumentError, type Command } from 'commander'
import { parseUsd, usdText, type Nanos } from '../../domain/money/ledger/money.rules.ts'
import type { AccountRow, EntryRow } from '../../domain/money/ledger/ledger.sql.ts'
import { group, operatorCommand, wholeNumber } from '../operator/declare.ts'
import { operate, type OutputOptions } from '../operator/operator.ts'
import { fields, moment, table } from '../operator/text.ts'

const DEFAULT_ENTRIES = 20
const MOST_ENTRIES = 1_000

export const creditsCommand = (): Command => group('credits', 'Credit of users, in USD, exact.', [add(), show()])

const service = () => import('../../domain/money/ledger/ledger.service.ts')

const add = () =>
  operatorCommand(
    'add',
    'Add credit, or take it back with a negative amount.',
    'ipop credits add --user user_0198… --amount 12.50 --note "invoice 1042"',
    'ipop credits add --user user_0198… --amount -2.50',
  )
    .requiredOption('--user <user>', 'id of the user')
    .requiredOption('--amount <usd>', 'USD, up to nine decimals', usd)
    .option('--note <text>', 'why, for the ledger', '')
    .action((options: OutputOptions & { user: string; amount: Nanos; note: string }) =>
      operate(options, async deps => {
        const account = await (await service()).addCredit(deps, options.user, options.amount, options.note)
        return { text: fields(figuresOf(account)), json: view(account) }
      }),
    )

const show = () =>
  operatorCommand('show', "Show a user's balance and newest ledger entries.", 'ipop credits show --user user_0198…')
    .requiredOption('--user <user>', 'id of the user')
    .option('--limit <n>', 'how many entries', wholeNumber(1, MOST_ENTRIES), DEFAULT_ENTRIES)
    .action((options: OutputOptions & { user: string; limit: number }) =>
      operate(options, async deps => {
        const { listEntries, requireAccount } = await service()
        const account = await requireAccount(deps.db, options.user)
        const entries = await listEntries(deps, options.user, options.limit)
        return {
          text: `${fields(figuresOf(account))}\n\n${entriesTable(entries)}`,
          json: { ...view(account), entries: entries.map(entryView) },
        }
      }),
    )

function usd(text: string): Nanos {
  const nanos = parseUsd(text)
  if (nanos === undefined) throw new InvalidArgumentError('It must be USD such as 12.50, with at most nine decimals.')
  return nanos
}

const availableOf = (account: AccountRow): Nanos => account.balance_nanos - account.held_nanos

const figuresOf = (account: AccountRow): [string, string][] => [
  ['User', account.user_id],
  ['Balance', `${usdText(account.balance_nanos)} USD`],
  ['Held', `${usdText(account.held_nanos)} USD`],
  ['Available', `${usdText(availableOf(account))} USD`],
]

function entriesTable(entries: readonly EntryRow[]): string {
  const rows = entries.map(entry => [
    moment(entry.created_at),
    entry.kind,
    usdText(entry.amount_nanos),
    usdText(entry.held_nanos),
    entry.reference,
    entry.note ?? '',
  ])
  return table(['TIME', 'KIND', 'AMOUNT', 'HELD', 'REFERENCE', 'NOTE'], rows, ['AMOUNT', 'HELD'])
}

/** Amounts as text: a JSON number would lose their last digits in some readers. */
const view = (account: AccountRow) => ({
  user_id: account.user_id,
  balance_usd: usdText(account.balance_nanos),
  held_usd: usdText(account.held_nanos),
  available_usd: usdText(availableOf(account)),
})

const entryView = (entry: EntryRow) => ({
  reference: entry.reference,
  kind: entry.kind,
  amount_usd: usdText(entry.amount_nanos),
  held_usd: usdText(entry.held_nanos),
  note: entry.note,
  created_at: entry.created_at,
})
