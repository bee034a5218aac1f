import type { SecretBox } from '../../../infra/crypto/sealing.ts'
import type { UpstreamSettings } from '../../../infra/upstreams/upstream.ts'
import type { Provider } from '../catalog/catalog.schema.ts'
import type { Owner } from '../../core/caller.rules.ts'
import { maskedKey, PROVIDERS } from './credential.rules.ts'
import type { CredentialRow, SealedColumns } from './credential.sql.ts'

/** A credential that calls can be made with. It stays in memory: it is never logged or stored. */
export interface OpenedCredential {
  id: string
  provider: Provider
  apiKey: string
  /** The user's own; null for the provider's. */
  baseUrl: string | null
}

/** A seal holds for one credential of one owner: moved to another row, it does not open. */
const contextOf = (owner: Owner, credentialId: string): string[] => [
  'provider_credential',
  owner.userId,
  owner.projectId ?? '',
  credentialId,
]

export const ownerOf = (row: Pick<CredentialRow, 'user_id' | 'project_id'>): Owner => ({
  userId: row.user_id,
  projectId: row.project_id,
})

export function sealKey(secrets: SecretBox, owner: Owner, credentialId: string, apiKey: string): SealedColumns {
  const { keyId, bytes } = secrets.seal(apiKey, contextOf(owner, credentialId))
  return { secretsKeyId: keyId, sealedKey: bytes, maskedKey: maskedKey(apiKey) }
}

export const NO_SEALED_KEY: SealedColumns = { secretsKeyId: null, sealedKey: null, maskedKey: '' }

/** Undefined where there is no key. Errors: UnopenableSecret. */
export function openKey(secrets: SecretBox, row: CredentialRow): string | undefined {
  if (row.secrets_key_id === null || row.sealed_key === null) return undefined
  return secrets.open({ keyId: row.secrets_key_id, bytes: row.sealed_key }, contextOf(ownerOf(row), row.id))
}

/** The provider as a route's upstream. Its id names no credential: it is recorded and counted by. */
export const upstreamOf = ({ provider, apiKey, baseUrl }: Omit<OpenedCredential, 'id'>): UpstreamSettings => ({
  id: `byok-${provider}`,
  baseUrl: baseUrl ?? PROVIDERS[provider].baseUrl,
  apiKey,
  external: true,
  wire: PROVIDERS[provider].wire,
  promptCaching: PROVIDERS[provider].promptCaching,
  outputLimitName: provider === 'openai' && baseUrl === null ? 'max_completion_tokens' : undefined,
  userSupplied: baseUrl !== null,
})
