import { DomainError } from '../../core/errors.ts'
import { mayUseModel, type KeyRules } from '../../core/caller.rules.ts'
import type { CatalogEntry } from './catalog.schema.ts'

/** Where models are found by their public ids. */
export interface ModelDirectory {
  find(modelId: string): CatalogEntry | undefined
}

type Capability = CatalogEntry['capabilities'][number]

export const supports = (entry: CatalogEntry, capability: Capability): boolean =>
  entry.capabilities.includes(capability)

/** Errors: 404 naming `param` for an id that the catalog does not hold. */
export function requireKnownModel(catalog: ModelDirectory, modelId: string, param = 'model'): CatalogEntry {
  const entry = catalog.find(modelId)
  if (entry !== undefined) return entry
  throw new DomainError(404, 'model_unavailable', `There is no model ${printable(modelId)}. See GET /v1/models.`, {
    type: 'model_not_found',
    param,
  })
}

/** The model as this key may use it. Errors: 404 unknown, 403 not allowed to the key. */
export function requireUsableModel(
  catalog: ModelDirectory,
  modelId: string,
  rules: KeyRules,
  param = 'model',
): CatalogEntry {
  const entry = requireKnownModel(catalog, modelId, param)
  if (mayUseModel(rules, entry.id)) return entry
  throw new DomainError(403, 'model_not_allowed', `This API key may not use the model ${entry.id}.`, {
    type: 'model_not_allowed',
    param,
  })
}

/** Errors: 400 with `error_type` `model_does_not_support_…`. */
export function requireCapability(entry: CatalogEntry, capability: Capability, param: string): void {
  if (supports(entry, capability)) return
  throw new DomainError(
    400,
    'bad_request',
    `The model ${entry.id} does not support ${capability.replaceAll('_', ' ')}.`,
    {
      type: `model_does_not_support_${capability}`,
      param,
    },
  )
}

const printable = (text: string): string => JSON.stringify(text.slice(0, 100))
