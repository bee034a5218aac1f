import type { Config } from '../../infra/config.ts'
import { childChecks } from './children.ts'
import { databaseChecks } from './database.ts'
import { find, type Check, type Finding } from './findings.ts'
import { objectStoreCheck } from './object-store.ts'
import { temporalChecks } from './temporal.ts'
import { upstreamChecks } from './upstreams.ts'

const LEAST_NODE = [20, 19] as const

/** Checks everything the system depends on, each for itself. */
export async function examine(config: Config): Promise<Finding[]> {
  const checks = [
    nodeCheck,
    secretCheck('SIGNING_KEY', config.signingKeys, 'openssl rand -hex 32'),
    secretCheck('SECRETS_KEY', config.secretsKeys, 'echo k1:$(openssl rand -hex 32)'),
    secretCheck('ADMIN_TOKEN', config.adminToken, 'openssl rand -hex 24'),
    ...databaseChecks(config),
    ...temporalChecks(config),
    objectStoreCheck(config),
    ...upstreamChecks(config),
    ...childChecks(config),
  ]
  return Promise.all(checks.map(find))
}

const nodeCheck: Check = {
  name: 'Node.js',
  look: () => {
    const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
    const [leastMajor, leastMinor] = LEAST_NODE
    if (major > leastMajor || (major === leastMajor && minor >= leastMinor)) return process.version
    throw new Error(`${process.version} is too old`)
  },
  remedy: `Install Node.js ${LEAST_NODE.join('.')} or later.`,
}

const secretCheck = (name: string, value: unknown, command: string): Check => ({
  name,
  look: () => {
    if (value === undefined) throw new Error('not set')
    return 'set'
  },
  remedy: `Set it, the same for all processes; \`${command}\` makes one.`,
})
