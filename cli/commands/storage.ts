import type { Command } from 'commander'
import { group, operatorCommand } from '../operator/declare.ts'
import { operate, type OutputOptions } from '../operator/operator.ts'
import { table } from '../operator/text.ts'

export const storageCommand = (): Command => group('storage', 'What accounts keep.', [verify()])

const verify = () =>
  operatorCommand(
    'verify',
    'Compare what was counted of each account with what it keeps. Exits 1 where they differ and are not repaired.',
    'ipop storage verify',
    'ipop storage verify --repair',
  )
    .option('--repair', 'make the counts right')
    .action((options: OutputOptions & { repair?: boolean }) =>
      operate(options, async deps => {
        const { repairStorage, verifyStorage } = await import('../../domain/tenancy/storage/storage.service.ts')
        const differences = await verifyStorage(deps)
        const isRepaired = options.repair === true && differences.length > 0
        if (isRepaired) await repairStorage(deps, differences)
        else if (differences.length > 0) process.exitCode = 1
        const rows = differences.map(one => [one.user_id, one.kind, String(one.expected), String(one.found)])
        const text = table(['USER', 'KIND', 'BYTES KEPT', 'BYTES COUNTED'], rows, ['BYTES KEPT', 'BYTES COUNTED'])
        const json = differences.map(one => ({ ...one, expected: Number(one.expected), found: Number(one.found) }))
        return {
          text: differences.length === 0 ? 'All counts agree.' : `${text}${isRepaired ? '\nRepaired.' : ''}`,
          json: { ok: differences.length === 0, repaired: isRepaired, differences: json },
        }
      }),
    )
