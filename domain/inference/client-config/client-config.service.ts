import type { Catalog } from '../catalog/catalog.ts'
import { DomainError } from '../../core/errors.ts'
import type { Caller } from '../../core/caller.rules.ts'
import { agentModels, firstChoice } from './agent-models.ts'
import { CLIENTS, type ClientSetup } from './client-files.rules.ts'
import type {
  AgentClient,
  AgentClientConfigFreshnessResponse,
  AgentClientConfigResponse,
  FreshnessQuery,
} from './client-config.schema.ts'
import { fingerprintOf } from './fingerprint.ts'

interface Deps {
  catalog: Catalog
  config: { publicUrl: string }
}

/**
 * A client's config file over the key given, which is put into it and kept nowhere; none is put in where it is undefined.
 * Errors: 409 where the key may use no model that an agent can work with.
 */
export function makeClientConfig(
  deps: Deps,
  { rules }: Caller,
  client: AgentClient,
  apiKey: string | undefined,
): AgentClientConfigResponse {
  const setup = setupOf(deps, rules)
  const { config, hints } = CLIENTS[client]
  const redacted = config(setup, undefined)
  return {
    object: 'agent_client_config',
    client,
    config: apiKey === undefined ? redacted : config(setup, apiKey),
    redacted_config: redacted,
    install_hints: hints,
    validation: {
      fingerprint: fingerprintOf(redacted),
      freshness_url: `${setup.baseUrl}/client-config/${client}/freshness`,
      selected_model_id: setup.selected.id,
    },
  }
}

/**
 * Whether a config made earlier, known by its fingerprint, is what would be made now, but for the key. A selected model
 * that is no longer in it is answered with the one to use instead. Errors: 409 as for the config.
 */
export function checkFreshness(
  deps: Deps,
  { rules }: Caller,
  client: AgentClient,
  { fingerprint: known, selected_model_id: selectedId }: FreshnessQuery,
): AgentClientConfigFreshnessResponse {
  const setup = setupOf(deps, rules)
  const fingerprint = fingerprintOf(CLIENTS[client].config(setup, undefined))
  const selected = selectedId === undefined ? setup.selected : setup.models.find(({ id }) => id === selectedId)
  return {
    object: 'agent_client_config_freshness',
    client,
    fingerprint,
    fresh: known === fingerprint,
    refresh_recommended: known !== fingerprint || selected === undefined,
    selected_model_id: (selected ?? setup.selected).id,
  }
}

function setupOf({ catalog, config }: Deps, rules: Caller['rules']): ClientSetup {
  const models = agentModels(catalog, rules)
  const selected = firstChoice(models)
  if (selected !== undefined) return { baseUrl: `${config.publicUrl}/v1`, models, selected }
  throw new DomainError(
    409,
    'model_unavailable',
    'This API key may use no model that is served here and that streams and calls tools.',
    { type: 'no_agent_model' },
  )
}
