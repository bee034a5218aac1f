import {
  AgentCapabilitiesResponse,
  AgentClientConfigFreshnessResponse,
  AgentClientConfigResponse,
  ClientConfigQuery,
  FreshnessQuery,
  type AgentClient,
} from '../../../domain/inference/client-config/client-config.schema.ts'
import {
  agentCapabilities,
  type ServedOperation,
} from '../../../domain/inference/client-config/capabilities.service.ts'
import { checkFreshness, makeClientConfig } from '../../../domain/inference/client-config/client-config.service.ts'
import { apiKeyOf } from '../../http/auth/api-key.ts'
import { Reply } from '../../http/gives/gives.ts'
import { route, type AnyRoute } from '../../http/route.ts'
import { json } from '../../http/takes/takes.ts'

const NOT_KEPT = { headers: { 'cache-control': 'no-store' } }

const configRoutes = (client: AgentClient, name: string) => [
  route({
    method: 'GET',
    path: `/client-config/${client}`,
    auth: 'apiKey',
    summary: `Get a config file of ${name} for this key`,
    description:
      'It works when saved as it is: it holds the key that the request carried, unless `redact_secrets` asks for a copy ' +
      'to share. `validation.fingerprint` changes when the config does; another key changes nothing.',
    query: ClientConfigQuery,
    gives: json(AgentClientConfigResponse),
    handle: ({ caller, query, header }, deps) => {
      const apiKey = query.redact_secrets === true ? undefined : apiKeyOf(header)
      return new Reply(makeClientConfig(deps, caller, client, apiKey), NOT_KEPT)
    },
  }),
  route({
    method: 'GET',
    path: `/client-config/${client}/freshness`,
    auth: 'apiKey',
    summary: `Check whether a config file of ${name} is still what would be made now`,
    query: FreshnessQuery,
    gives: json(AgentClientConfigFreshnessResponse),
    handle: ({ caller, query }, deps) => new Reply(checkFreshness(deps, caller, client, query), NOT_KEPT),
  }),
]

export const clientConfigRoutes = [...configRoutes('opencode', 'OpenCode'), ...configRoutes('hermes', 'Hermes')]

/** The operation that tells agents what the others are. */
export function capabilityRoutes(others: readonly AnyRoute[]): AnyRoute[] {
  const operations = others.map(servedOperation)
  return [
    route({
      method: 'GET',
      path: '/agent-capabilities',
      auth: 'apiKey',
      summary: 'Get what an agent finds here with this key',
      gives: json(AgentCapabilitiesResponse),
      handle: ({ caller }, deps) => agentCapabilities(deps, caller, operations),
    }),
  ]
}

const servedOperation = ({ method, path, gives, query, headers }: AnyRoute): ServedOperation => ({
  name: `${method} ${path}`,
  path,
  streams: gives.some(({ kind }) => kind === 'events'),
  parameters: [query, headers].flatMap(schema => Object.keys(schema?.properties ?? {})),
})
