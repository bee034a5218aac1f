import type { ProviderRoute } from '../catalog/catalog.ts'
import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import type { Owner } from '../../core/caller.rules.ts'
import type { CredentialsOf } from './credential-cache.ts'
import { upstreamOf } from './credential-key.ts'

/** The model over the owner's own keys: empty where no provider serves it natively, or the owner has no key there. */
export function credentialRoutes(
  deps: { credentialsOf: CredentialsOf },
  owner: Owner,
  { byok }: CatalogEntry,
): readonly ProviderRoute[] | Promise<readonly ProviderRoute[]> {
  return byok === undefined ? NONE : nativeRoutes(deps, owner, byok)
}

const NONE: readonly ProviderRoute[] = []

async function nativeRoutes(
  deps: { credentialsOf: CredentialsOf },
  owner: Owner,
  { provider, model }: NonNullable<CatalogEntry['byok']>,
): Promise<readonly ProviderRoute[]> {
  const credential = (await deps.credentialsOf(owner)).get(provider)
  if (credential === undefined) return NONE
  return [{ upstream: upstreamOf(credential), model, credentialId: credential.id }]
}
