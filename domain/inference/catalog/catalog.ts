import { readFileSync } from 'node:fs'
import { Value } from 'typebox/value'
import type { UpstreamSettings } from '../../../infra/upstreams/upstream.ts'
import { ConfigError, type Config } from '../../../infra/config.ts'
import { CatalogFile, type CatalogEntry, type CatalogRoute } from './catalog.schema.ts'
import type { ModelDirectory } from './model-access.rules.ts'

const LAUNCH_CATALOG = new URL('./launch-catalog.json', import.meta.url)
const SANDBOX = 'sandbox'

/** One way to reach a model. */
export interface ProviderRoute {
  upstream: UpstreamSettings
  /** The model's id there. */
  model: string
  quality?: CatalogRoute['quality']
  latency?: CatalogRoute['latency']
  /** The one name of the output limit that is told for this model. */
  output_limit_name?: CatalogRoute['output_limit_name']
  /** The caller's own provider credential that pays for it. */
  credentialId?: string
}

/** The models this deployment knows, and how to reach them. Immutable for the life of the process. */
export interface Catalog extends ModelDirectory {
  entries: readonly CatalogEntry[]
  upstreams: readonly UpstreamSettings[]
  defaultModelId: string | undefined
  /** In order of preference; empty where nothing that serves the model is configured. */
  routesOf(entry: CatalogEntry): readonly ProviderRoute[]
}

type CatalogConfig = Pick<Config, 'catalogFile' | 'upstreams' | 'production' | 'secret'>

/** Reads the launch catalog and the deployment's own file over it. Errors: ConfigError. */
export function loadCatalog(config: CatalogConfig): Catalog {
  const launch = readCatalogFile(LAUNCH_CATALOG, 'the launch catalog')
  const own = config.catalogFile === undefined ? undefined : readCatalogFile(config.catalogFile, 'CATALOG_FILE')
  const entries = mergedEntries(launch.models, own?.models ?? [])
  const upstreams = configuredUpstreams(config, own?.upstreams ?? [])
  const byId = new Map(upstreams.map(upstream => [upstream.id, upstream]))
  const aliases = new Map([...entries.values()].flatMap(entry => (entry.aliases ?? []).map(alias => [alias, entry])))
  const routes = new Map([...entries.values()].map(entry => [entry.id, routesOf(entry, byId)]))
  return {
    entries: [...entries.values()],
    upstreams,
    defaultModelId: [...entries.values()].find(entry => entry.default === true)?.id,
    find: modelId => entries.get(modelId) ?? aliases.get(modelId),
    routesOf: entry => routes.get(entry.id) ?? [],
  }
}

/** The deployment's models replace those of the same id; its default, where it names one, is the only one. */
function mergedEntries(launch: readonly CatalogEntry[], own: readonly CatalogEntry[]): Map<string, CatalogEntry> {
  const entries = new Map([...launch, ...own].map(entry => [entry.id, entry]))
  const chosen = own.find(entry => entry.default === true)
  if (chosen === undefined) return entries
  return new Map([...entries.values()].map(entry => [entry.id, { ...entry, default: entry.id === chosen.id }]))
}

function readCatalogFile(path: string | URL, name: string): CatalogFile {
  let content: unknown
  try {
    content = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new ConfigError(
      `${name} could not be read as JSON: ${error instanceof Error ? error.message : String(error)}.`,
    )
  }
  const [error] = Value.Errors(CatalogFile, content)
  if (error) throw new ConfigError(`${name} is wrong at ${error.instancePath || '/'}: it ${error.message}.`)
  return content as CatalogFile
}

function configuredUpstreams(
  { upstreams, production, secret }: CatalogConfig,
  own: NonNullable<CatalogFile['upstreams']>,
): UpstreamSettings[] {
  const { openRouter, sandboxUrl } = upstreams
  const configured = [
    ...(openRouter === undefined ? [] : [{ id: 'openrouter', external: true, promptCaching: true, ...openRouter }]),
    ...own.map(upstream => ownUpstream(upstream, secret)),
  ]
  const useSandbox = configured.length === 0 && sandboxUrl !== undefined && !production
  return useSandbox ? [{ id: SANDBOX, external: false, baseUrl: sandboxUrl, apiKey: undefined }] : configured
}

function ownUpstream(
  upstream: NonNullable<CatalogFile['upstreams']>[number],
  secret: CatalogConfig['secret'],
): UpstreamSettings {
  if (upstream.id === SANDBOX)
    throw new ConfigError(`CATALOG_FILE must not name an upstream ${SANDBOX}: it is built in.`)
  const apiKey = upstream.api_key_env === undefined ? undefined : secret(upstream.api_key_env)
  if (upstream.api_key_env !== undefined && apiKey === undefined) {
    throw new ConfigError(
      `CATALOG_FILE's upstream ${upstream.id} takes its key from ${upstream.api_key_env}, which is not set.`,
    )
  }
  return {
    id: upstream.id,
    external: upstream.external ?? true,
    baseUrl: upstream.base_url.replace(/\/+$/, ''),
    apiKey,
    wire: upstream.wire,
    region: upstream.region,
    maxConcurrency: upstream.max_concurrency,
    promptCaching: upstream.prompt_caching,
    idempotencyKeys: upstream.idempotency_keys,
  }
}

/** The sandbox stands in for every model, under its public id. */
function routesOf(entry: CatalogEntry, upstreams: Map<string, UpstreamSettings>): ProviderRoute[] {
  const sandbox = upstreams.get(SANDBOX)
  if (sandbox !== undefined) return [{ upstream: sandbox, model: entry.id }]
  return entry.routes.flatMap(route => {
    const upstream = upstreams.get(route.upstream)
    return upstream === undefined ? [] : [{ ...route, upstream }]
  })
}
