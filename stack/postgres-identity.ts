import { spawnSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { ConfigError } from '../infra/config.ts'

/** How Postgres' programs are started by this user: they refuse to run as root. */
export interface PostgresIdentity {
  /** Words before the command; each of them becomes the next, so that the process stays the one that was started. */
  prefix: string[]
  /** Whose the files must be; undefined where they are this user's anyway. */
  owner: { uid: number; gid: number } | undefined
}

interface Account {
  uid: number
  gid: number
}

/** Accounts that systems have; initdb wants its user to have a name. */
const ACCOUNTS = ['postgres', 'daemon', 'nobody']

/**
 * Another user: as itself. Root: in a user namespace that calls root something else, which reaches what is root's own,
 * however closed it is to others. Where those are switched off (containers), or a folder is another user's: as a
 * system account that keeps root's right to enter every folder. Errors: ConfigError where neither works.
 */
export function postgresIdentity(program: string, dataDir: string): PostgresIdentity {
  if (process.getuid?.() !== 0) return { prefix: [], owner: undefined }
  const account = systemAccount()
  const works = account === undefined ? [] : identitiesOf(account).filter(way => reaches(way, program, dataDir))
  if (works[0] !== undefined) return works[0]
  throw new ConfigError('Postgres does not run as root: start as another user, or set DATABASE_URL.')
}

const identitiesOf = ({ uid, gid }: Account): PostgresIdentity[] => [
  {
    prefix: `unshare --user --map-user=${uid} --map-group=${gid} --`.split(' '),
    owner: { uid: 0, gid: 0 },
  },
  {
    prefix: [
      ...`setpriv --reuid=${uid} --regid=${gid} --clear-groups`.split(' '),
      // Without it access(2), which Postgres asks, would not count what the account keeps.
      '--securebits=+no_setuid_fixup',
      ...'--inh-caps=+dac_override --ambient-caps=+dac_override --'.split(' '),
    ],
    owner: { uid, gid },
  },
]

function reaches({ prefix }: PostgresIdentity, program: string, dataDir: string): boolean {
  const [command, ...args] = [...prefix, 'sh', '-c', 'cd "$1" && test -x "$2"', 'sh', dataDir, program]
  return spawnSync(command, args).status === 0
}

/** From passwd(5): name, password, uid, gid. */
function systemAccount(): Account | undefined {
  const lines = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map(line => line.split(':'))
  const found = ACCOUNTS.map(name => lines.find(line => line[0] === name)).find(line => line !== undefined)
  return found === undefined ? undefined : { uid: Number(found[2]), gid: Number(found[3]) }
}

/** Gives a file or a folder with all that is in it to the user that Postgres runs as. */
export function changeOwner(path: string, { owner }: PostgresIdentity): void {
  if (owner === undefined || statSync(path).uid === owner.uid) return
  const { status, stderr } = spawnSync('chown', ['-R', `${owner.uid}:${owner.gid}`, path], { encoding: 'utf8' })
  if (status !== 0) throw new ConfigError(`Postgres cannot be given its files: ${stderr.trim()}.`)
}
