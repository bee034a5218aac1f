import { UnopenableSecret, type SecretBox } from '../../../infra/crypto/sealing.ts'
import type { Log } from '../../../infra/log.ts'
import type { Database } from '../../../infra/postgres/database.ts'
import type { Listener } from '../../../infra/postgres/listener.ts'
import { createNotifiedCache } from '../../../infra/postgres/notified-cache.ts'
import type { Provider } from '../catalog/catalog.schema.ts'
import type { Owner } from '../../core/caller.rules.ts'
import { openKey, type OpenedCredential } from './credential-key.ts'
import { CREDENTIAL_CHANGES, selectUsable, type CredentialRow } from './credential.sql.ts'

export type CredentialsByProvider = ReadonlyMap<Provider, OpenedCredential>

/** Which of its own keys the owner's calls go over: enabled ones, one a provider; none the owner has not. */
export type CredentialsOf = (owner: Owner) => CredentialsByProvider | Promise<CredentialsByProvider>

interface Deps {
  db: Database
  listener: Listener
  secrets: SecretBox
  log: Log
}

/** Reads through a cache that every change of a credential, anywhere, makes void. */
export function createCredentialsOf({ db, listener, secrets, log }: Deps): CredentialsOf {
  const cache = createNotifiedCache<CredentialsByProvider>(listener, CREDENTIAL_CHANGES)
  return owner =>
    cache.get(JSON.stringify([owner.userId, owner.projectId]), async () =>
      firstOfEach((await selectUsable(db, owner)).flatMap(row => opened({ secrets, log }, row))),
    )
}

/** A key that cannot be opened is passed over: calls go on without it. */
function opened({ secrets, log }: Pick<Deps, 'secrets' | 'log'>, row: CredentialRow): OpenedCredential[] {
  try {
    const apiKey = openKey(secrets, row)
    return apiKey === undefined ? [] : [{ id: row.id, provider: row.provider, apiKey, baseUrl: row.base_url }]
  } catch (error) {
    if (!(error instanceof UnopenableSecret)) throw error
    log.error({ credentialId: row.id, err: error }, 'a stored key cannot be opened: look at SECRETS_KEY')
    return []
  }
}

/** Of the later ones with the same provider none. */
const firstOfEach = (credentials: OpenedCredential[]): CredentialsByProvider =>
  new Map(credentials.toReversed().map(credential => [credential.provider, credential]))
