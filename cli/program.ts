import { Command } from 'commander'
import { creditsCommand } from './commands/credits.ts'
import { doctorCommand } from './commands/doctor.ts'
import { jobsCommand } from './commands/jobs.ts'
import { keysCommand } from './commands/keys.ts'
import { ledgerCommand } from './commands/ledger.ts'
import { migrateCommand } from './commands/migrate.ts'
import { projectsCommand } from './commands/projects.ts'
import { secretsCommand } from './commands/secrets.ts'
import { storageCommand } from './commands/storage.ts'
import { usersCommand } from './commands/users.ts'
import { examples } from './operator/declare.ts'
import { processCommands } from './process-commands.ts'

/** Every command. Only what parsing needs is loaded here: each action loads the rest, so that `--help` is fast. */
export function createProgram(): Command {
  const program = new Command('ipop')
    .description('One API key in front of everything an AI product needs; every job is a durable Temporal workflow.')
    .addHelpText('after', examples('ipop demo', 'ipop users create --name "Acme GmbH"', 'ipop ledger verify'))
  for (const command of [...operatorCommands(), ...processCommands()]) program.addCommand(command)
  return program
}

const operatorCommands = (): Command[] => [
  usersCommand(),
  projectsCommand(),
  keysCommand(),
  creditsCommand(),
  jobsCommand(),
  ledgerCommand(),
  storageCommand(),
  secretsCommand(),
  migrateCommand(),
  doctorCommand(),
]
