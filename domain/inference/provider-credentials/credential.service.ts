import type { SecretBox } from '../../../infra/crypto/sealing.ts'
import { OutboundFailure } from '../../../infra/outbound/failure.ts'
import type { Outbound } from '../../../infra/outbound/outbound.ts'
import { inTransaction, type Database, type Queryable, type Transaction } from '../../../infra/postgres/database.ts'
import { badRequest, conflict, DomainError, notFound } from '../../core/errors.ts'
import { isId, newId } from '../../core/ids.ts'
import type { Caller, Owner } from '../../core/caller.rules.ts'
import { isStorable } from '../../core/text.rules.ts'
import { unixSeconds } from '../../core/time-window.rules.ts'
import { NO_SEALED_KEY, sealKey } from './credential-key.ts'
import { keyChange, NO_KEY } from './credential.rules.ts'
import type {
  ProviderCredentialCreateRequest,
  ProviderCredentialPatchRequest,
  ProviderCredentialView,
} from './credential.schema.ts'
import {
  announceCredentialChange,
  deleteCredentialRow,
  insertCredential,
  selectCredential,
  selectCredentialForChange,
  selectCredentials,
  setKey,
  setSettings,
  type CredentialRow,
} from './credential.sql.ts'

export interface CredentialDeps {
  db: Database
  outbound: Outbound
  secrets: SecretBox
}

const MOST_CREDENTIALS = 100

/** Keeps a key of the caller's own at a provider, sealed. Errors: 400; 409 where the account has too many. */
export async function createCredential(
  deps: CredentialDeps,
  { owner }: Caller,
  request: ProviderCredentialCreateRequest,
): Promise<ProviderCredentialView> {
  requireStorableLabel(request.label)
  const baseUrl = await checkedBaseUrl(deps, request.base_url ?? null)
  const id = newId('cred')
  const key = sealKey(deps.secrets, owner, id, request.api_key)
  return inTransaction(deps.db, async tx => {
    const credential = { id, provider: request.provider, label: request.label, baseUrl, ...key }
    const row = await insertCredential(tx, owner, credential, MOST_CREDENTIALS)
    if (row === undefined) throw conflict(`An account has at most ${MOST_CREDENTIALS} provider credentials.`)
    await announceCredentialChange(tx, owner)
    return credentialView(row)
  })
}

/** The newest first. */
export async function listCredentials(
  deps: Pick<CredentialDeps, 'db'>,
  { owner }: Caller,
): Promise<ProviderCredentialView[]> {
  return (await selectCredentials(deps.db, owner)).map(credentialView)
}

/** What is not named stays. A new address without a new key drops the key. Errors: 400; 403; 404. */
export async function updateCredential(
  deps: CredentialDeps,
  { owner }: Caller,
  credentialId: string,
  patch: ProviderCredentialPatchRequest,
): Promise<ProviderCredentialView> {
  if (patch.label !== undefined) requireStorableLabel(patch.label)
  await requireCredential(deps.db, owner, credentialId)
  const baseUrl = patch.base_url === undefined ? undefined : await checkedBaseUrl(deps, patch.base_url)
  return inTransaction(deps.db, async tx => {
    const row = await requireForChange(tx, owner, credentialId)
    const change = keyChange(row.base_url, { baseUrl, apiKey: patch.api_key })
    if (change === 'drop') await setKey(tx, owner, row.id, NO_SEALED_KEY)
    if (patch.api_key !== undefined) {
      await setKey(tx, owner, row.id, sealKey(deps.secrets, owner, row.id, patch.api_key))
    }
    const updated = await setSettings(tx, owner, row.id, {
      label: patch.label ?? row.label,
      enabled: patch.enabled ?? row.enabled,
      baseUrl: baseUrl === undefined ? row.base_url : baseUrl,
    })
    if (updated === undefined) throw new Error('the locked credential is gone')
    await announceCredentialChange(tx, owner)
    return credentialView(updated)
  })
}

/** Forgets the key; gives the credential as it was. Errors: 403; 404. */
export async function deleteCredential(
  deps: Pick<CredentialDeps, 'db'>,
  { owner }: Caller,
  credentialId: string,
): Promise<ProviderCredentialView> {
  return inTransaction(deps.db, async tx => {
    const row = await requireForChange(tx, owner, credentialId)
    await deleteCredentialRow(tx, owner, row.id)
    await announceCredentialChange(tx, owner)
    return credentialView(row)
  })
}

/** Errors: 404. */
export async function requireCredential(db: Queryable, owner: Owner, credentialId: string): Promise<CredentialRow> {
  const row = isId('cred', credentialId) ? await selectCredential(db, owner, credentialId) : undefined
  if (row === undefined) throw notFound('provider credential', 'credential_id')
  return row
}

/**
 * The credential, locked. A project's keys use the account's credentials but do not change them: who sets the address
 * reads what other projects send there. Errors: 403; 404.
 */
async function requireForChange(tx: Transaction, owner: Owner, credentialId: string): Promise<CredentialRow> {
  const row = isId('cred', credentialId) ? await selectCredentialForChange(tx, owner, credentialId) : undefined
  if (row === undefined) throw notFound('provider credential', 'credential_id')
  if (row.project_id === owner.projectId) return row
  throw new DomainError(
    403,
    'policy_violation',
    'This credential belongs to the whole account: change it with an API key that has no project.',
    { type: 'not_of_this_project', param: 'credential_id' },
  )
}

function requireStorableLabel(label: string): void {
  if (!isStorable(label)) throw badRequest('`label` holds a character that cannot be stored.', 'label')
}

/** As it is stored: without a last slash. Errors: 400. */
async function checkedBaseUrl(deps: Pick<CredentialDeps, 'outbound'>, text: string | null): Promise<string | null> {
  if (text === null) return null
  const url = await deps.outbound.check(text).catch((error: unknown) => {
    if (!(error instanceof OutboundFailure)) throw error
    const why = error.message
    throw badRequest(
      `\`base_url\` must be an HTTPS URL of a public host, without user and password: ${why}.`,
      'base_url',
    )
  })
  if (url.search !== '' || url.hash !== '') {
    throw badRequest('`base_url` must have no query and no fragment: paths are appended to it.', 'base_url')
  }
  return url.href.replace(/\/+$/, '')
}

export function credentialView(row: CredentialRow): ProviderCredentialView {
  const lastError = row.sealed_key === null ? NO_KEY : row.last_error
  return {
    id: row.id,
    provider: row.provider,
    label: row.label,
    masked_key: row.masked_key,
    enabled: row.enabled,
    health: row.enabled ? row.health : 'disabled',
    ...(lastError === null ? {} : { last_error: lastError }),
    ...(row.last_tested_at === null ? {} : { last_tested_at: unixSeconds(row.last_tested_at) }),
    ...(row.last_used_at === null ? {} : { last_used_at: unixSeconds(row.last_used_at) }),
  }
}
