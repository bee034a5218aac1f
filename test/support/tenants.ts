import { addCredit } from '../../domain/money/ledger/ledger.service.ts'
import { parseUsd } from '../../domain/money/ledger/money.rules.ts'
import { createApiKey, type CreateKeyRequest } from '../../domain/tenancy/keys/keys.service.ts'
import { createUser } from '../../domain/tenancy/accounts/account.service.ts'
import { createProject } from '../../domain/tenancy/projects/project.service.ts'
import type { Database } from '../../infra/postgres/database.ts'
import { apiClient, type ApiClient } from './client.ts'

export interface Tenant {
  userId: string
  projectId: string | undefined
  keyId: string
  secret: string
  api: ApiClient
}

export interface TenantOptions extends Partial<Omit<CreateKeyRequest, 'userId'>> {
  /** 10 USD unless told; '0' for none. */
  creditUsd?: string
  inProject?: boolean
  /** Another API than the run's. */
  apiUrl?: string
}

/** A tenant that no other test knows: every test makes its own. */
export async function newTenant(db: Database, options: TenantOptions = {}): Promise<Tenant> {
  const { creditUsd = '10', inProject = false, apiUrl, ...key } = options
  const user = await createUser({ db }, 'test')
  const credit = parseUsd(creditUsd) ?? 0n
  if (credit !== 0n) await addCredit({ db }, user.id, credit, 'test')
  const project = inProject ? await createProject({ db }, user.id, 'test') : undefined
  return newKey(db, user.id, { ...key, ...(project && { projectId: project.id }) }, apiUrl)
}

/** Another key of the same account. */
export async function newKey(
  db: Database,
  userId: string,
  options: Partial<CreateKeyRequest> = {},
  apiUrl?: string,
): Promise<Tenant> {
  const { key, secret } = await createApiKey({ db }, { name: 'test', ...options, userId })
  return { userId, projectId: options.projectId, keyId: key.id, secret, api: apiClient(secret, apiUrl) }
}
