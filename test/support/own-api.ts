import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from '@jest/globals'
import type { CatalogFile } from '../../domain/inference/catalog/catalog.schema.ts'
import { spawnApi, type ApiProcess } from './api-process.ts'
import { apiClient, type ApiClient } from './client.ts'
import { testStack } from './stack.ts'

interface OwnApiOptions {
  /** Upstreams by id, with their addresses, besides the run's. */
  upstreams: Record<string, string>
  /** Models by id, with the upstreams of their routes in order; known there as `<model>@<upstream>`. */
  models: Record<string, string[]>
  env: Record<string, string>
}

export interface OwnApi extends ApiProcess {
  /** Without a key. */
  client: ApiClient
}

/** Starts an API process of a test file alone, with its own models and circuit breakers; stopped when the file ends. */
export function useOwnApi(): (options: OwnApiOptions) => Promise<OwnApi> {
  const ends: (() => Promise<void>)[] = []
  afterAll(async () => {
    for (const end of ends.reverse()) await end()
  })
  return async ({ upstreams, models, env }) => {
    const folder = await mkdtemp(join(tmpdir(), 'ipop-own-api-'))
    ends.push(() => rm(folder, { recursive: true, force: true }))
    const catalogFile = join(folder, 'catalog.json')
    await writeFile(catalogFile, JSON.stringify(await catalogOf(upstreams, models)))
    const api = await spawnApi({ ...env, CATALOG_FILE: catalogFile })
    ends.push(() => api.stop())
    return { ...api, client: apiClient(undefined, api.url) }
  }
}

/** The run's upstreams and models, and more: models as `test/plain` is but for their routes. */
async function catalogOf(upstreams: Record<string, string>, models: Record<string, string[]>): Promise<CatalogFile> {
  const shared = JSON.parse(await readFile(testStack().catalogFile, 'utf8')) as CatalogFile
  const plain = shared.models.find(({ id }) => id === 'test/plain')
  if (plain === undefined) throw new Error('the catalog of the run has no test/plain')
  const more = Object.entries(upstreams).map(([id, base_url]) => ({ id, base_url, external: false }))
  return {
    upstreams: [...(shared.upstreams ?? []), ...more],
    models: [
      ...shared.models,
      ...Object.entries(models).map(([id, routes]) => ({
        ...plain,
        id,
        routes: routes.map(upstream => ({ upstream, model: `${id}@${upstream}` })),
      })),
    ],
  }
}
