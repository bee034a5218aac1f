import { loadCatalog } from '../../domain/inference/catalog/catalog.ts'
import type { Config } from '../../infra/config.ts'
import type { UpstreamSettings } from '../../infra/upstreams/upstream.ts'
import type { Check } from './findings.ts'

const CALL_TIMEOUT_MS = 10_000
const CONFIGURE = 'Set OPENROUTER_API_KEY, or OPENROUTER_BASE_URL to any OpenAI-compatible server.'

/** One check for each upstream; a failing one where none is configured. */
export function upstreamChecks(config: Config): Check[] {
  try {
    const { upstreams } = loadCatalog(config)
    return upstreams.length === 0
      ? [failing('Upstream', 'no model can be called', CONFIGURE)]
      : upstreams.map(upstreamCheck)
  } catch (error) {
    return [failing('Catalog', error instanceof Error ? error.message : String(error), 'Correct CATALOG_FILE.')]
  }
}

const failing = (name: string, what: string, remedy: string): Check => ({
  name,
  look: () => Promise.reject(new Error(what)),
  remedy,
})

const upstreamCheck = ({ id, baseUrl, apiKey }: UpstreamSettings): Check => ({
  name: `Upstream ${id}`,
  look: async () => {
    const response = await fetch(`${baseUrl}/models`, {
      headers: apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` },
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
    })
    await response.body?.cancel()
    if (!response.ok) throw new Error(`GET ${baseUrl}/models answered ${response.status}`)
    return `${baseUrl} answers`
  },
  remedy:
    id === 'sandbox' ? 'Start it with `ipop sandbox`, or run `npm start`.' : `Check its address and key. ${CONFIGURE}`,
})
