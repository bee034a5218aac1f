import type { Command } from 'commander'
import { operatorCommand } from '../operator/declare.ts'
import { print, type OutputOptions } from '../operator/operator.ts'

export const migrateCommand = (): Command =>
  operatorCommand(
    'migrate',
    'Bring the database to the newest version.',
    'DATABASE_URL=postgres://… ipop migrate',
  ).action(async (options: OutputOptions) => {
    const { operatorConfig } = await import('../operator/operator-config.ts')
    const { requireDatabaseUrl } = await import('../../infra/config.ts')
    const { migrate } = await import('../../infra/postgres/migrate.ts')
    const { applied, version } = await migrate(requireDatabaseUrl(operatorConfig(process.env)))
    const steps = applied.map(step => `Applied ${step}.`)
    const text = [
      ...steps,
      `The database is at version ${version}${steps.length === 0 ? ': nothing to do' : ''}.`,
    ].join('\n')
    print(options, { text, json: { applied, version } })
  })
