import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readConfig, type Config } from '../../infra/config.ts'
import { isAlive } from '../../stack/process-identity.ts'
import { readStackFile, type StackFile } from '../../stack/stack-file.ts'

/** The embedded stack that runs on this DATA_DIR. */
export function runningStack(dataDir: string): StackFile | undefined {
  const file = readStackFile(dataDir)
  return file !== undefined && isAlive(file.supervisor) ? file : undefined
}

/** The environment's configuration; what it leaves open is taken from the embedded stack, where one runs. */
export function operatorConfig(env: NodeJS.ProcessEnv): Config {
  const config = readConfig(env)
  const stack = runningStack(config.dataDir)
  const elsewhere = config.database.url !== undefined && config.database.url !== stack?.databaseUrl
  if (stack === undefined || elsewhere) return config
  return readConfig({ ...environmentOf(stack, config.dataDir), ...withoutEmpty(env) })
}

/** What the stack's own processes are given. */
function environmentOf(
  { databaseUrl, temporalAddress, temporalUiUrl, apiUrl, ports, processes }: StackFile,
  dataDir: string,
) {
  const hasSandbox = Object.keys(processes).some(name => name.startsWith('sandbox'))
  return {
    DATABASE_URL: databaseUrl,
    TEMPORAL_ADDRESS: temporalAddress,
    TEMPORAL_UI_URL: temporalUiUrl,
    PUBLIC_URL: apiUrl,
    SANDBOX_URL: hasSandbox ? `http://127.0.0.1:${ports['sandbox']}/v1` : undefined,
    ADMIN_TOKEN: textOf(join(dataDir, 'dev-admin-token')),
    SIGNING_KEY: textOf(join(dataDir, 'signing-key')),
    SECRETS_KEY: textOf(join(dataDir, 'secrets-key')),
  }
}

const textOf = (path: string): string | undefined => (existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined)

const withoutEmpty = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
