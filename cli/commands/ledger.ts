import type { Command } from 'commander'
import type { LedgerCheck } from '../../domain/money/verify/verify.ts'
import { group, operatorCommand } from '../operator/declare.ts'
import { operate, type OutputOptions } from '../operator/operator.ts'

export const ledgerCommand = (): Command => group('ledger', 'The books.', [verify()])

const verify = () =>
  operatorCommand(
    'verify',
    'Prove that balances, holds, charges, hourly totals and batches agree. Exits 1 where they do not.',
    'ipop ledger verify',
    'ipop ledger verify --json',
  ).action((options: OutputOptions) =>
    operate(options, async deps => {
      const { verifyLedger } = await import('../../domain/money/verify/verify.ts')
      const verification = await verifyLedger(deps)
      if (!verification.ok) process.exitCode = 1
      return { text: verification.checks.map(checkText).join('\n'), json: verification }
    }),
  )

function checkText({ ok, name, detail, differences }: LedgerCheck): string {
  const lines = differences.map(
    ({ id, field, expected, found }) =>
      `      ${id}: ${field} is ${found ?? 'missing'}, should be ${expected ?? 'absent'}`,
  )
  return [`${ok ? 'ok  ' : 'FAIL'}  ${name}: ${detail}`, ...lines].join('\n')
}
