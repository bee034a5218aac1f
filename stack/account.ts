import { DomainError } from '../domain/core/errors.ts'
import { addCredit } from '../domain/money/ledger/ledger.service.ts'
import { authenticate, createApiKey } from '../domain/tenancy/keys/keys.service.ts'
import { createUser } from '../domain/tenancy/accounts/account.service.ts'
import { listUsers } from '../domain/tenancy/users/user.service.ts'
import { openDatabase, type Database } from '../infra/postgres/database.ts'
import { replaceSecretFile, secretFile } from './secrets.ts'

const KEY_FILE = 'dev-api-key'
const USER_NAME = 'dev'
const CREDIT_NANOS = 100_000_000_000n

/** The ready-to-use key of DATA_DIR, made once with an account and 100 USD of credit, and again where it no longer works. */
export async function ensureDevKey(dataDir: string, databaseUrl: string): Promise<string> {
  const db = openDatabase({ url: databaseUrl, poolSize: 2, applicationName: 'ipop-start' })
  try {
    const kept = secretFile(dataDir, KEY_FILE, () => '')
    if (await works(db, kept)) return kept
    const secret = await makeKey(db)
    replaceSecretFile(dataDir, KEY_FILE, secret)
    return secret
  } finally {
    await db.close()
  }
}

async function works(db: Database, secret: string): Promise<boolean> {
  const keyCache = { get: <T>(_secret: string, read: () => Promise<T>) => read() }
  try {
    await authenticate({ db, keyCache }, secret)
    return true
  } catch (error) {
    if (error instanceof DomainError && error.code === 'unauthorized') return false
    throw error
  }
}

async function makeKey(db: Database): Promise<string> {
  const known = (await listUsers({ db })).find(user => user.name === USER_NAME && user.disabled_at === null)
  const user = known ?? (await createUser({ db }, USER_NAME))
  if (known === undefined) await addCredit({ db }, user.id, CREDIT_NANOS, 'to try things out')
  return (await createApiKey({ db }, { userId: user.id, name: 'dev' })).secret
}
