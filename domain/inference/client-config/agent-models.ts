import type { Catalog } from '../catalog/catalog.ts'
import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import { supports } from '../catalog/model-access.rules.ts'
import { mayUseModel, type KeyRules } from '../../core/caller.rules.ts'

/**
 * The models that a coding agent can work with over a key: they chat, stream and call tools, the key may use them, and
 * a route that it may take is configured. How routes fare at the moment has no part in it: a config is for longer.
 */
export function agentModels(catalog: Catalog, rules: KeyRules): CatalogEntry[] {
  return catalog.entries.filter(
    entry =>
      mayUseModel(rules, entry.id) &&
      (['chat', 'streaming', 'tools'] as const).every(capability => supports(entry, capability)) &&
      catalog.routesOf(entry).some(({ upstream }) => rules.externalProcessing || !upstream.external),
  )
}

/** What an agent begins with: the deployment's default where it is among them, else the best recommended one. */
export const firstChoice = (models: readonly CatalogEntry[]): CatalogEntry | undefined =>
  models.find(entry => entry.default === true) ?? models.find(entry => entry.tier === 'recommended') ?? models[0]
