import type { Route } from '../catalog/catalog.ts'
import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import type { Owner } from '../tenancy/tenancy.rules.ts'
import type { CredentialsOf } from './credential-cache.ts'
import { upstreamOf } from './credential-key.ts'

/** The model over the owner's own keys: empty where no provider serves it natively, or the owner has no key there. */
export async function credentialRoutes(
  deps: { credentialsOf: CredentialsOf },
  owner: Owner,
  model: CatalogEntry,
): Promise<Route[]> {
  if (model.byok === undefined) return []
  const credential = (await deps.credentialsOf(owner)).get(model.byok.provider)
  if (credential === undefined) return []
  return [{ upstream: upstreamOf(credential), model: model.byok.model, credentialId: credential.id }]
}
