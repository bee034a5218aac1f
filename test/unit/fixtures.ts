import { loadCatalog, type Catalog } from '../../domain/inference/catalog/catalog.ts'
import type { CatalogEntry } from '../../domain/inference/catalog/catalog.schema.ts'
import { DomainError } from '../../domain/core/errors.ts'
import type { KeyRules } from '../../domain/core/caller.rules.ts'
import { createLog, type Log } from '../../infra/log.ts'
import type { Config } from '../../infra/config.ts'

export const silent: Log = createLog('test', 'silent')
export const anyRules: KeyRules = { allowedModels: null, externalProcessing: true, smokeTest: false }

type CatalogConfig = Pick<Config, 'catalogFile' | 'upstreams' | 'production' | 'secret'>

export function catalogConfig(upstreams: Partial<Config['upstreams']> = {}, production = false): CatalogConfig {
  return {
    catalogFile: undefined,
    production,
    secret: () => undefined,
    upstreams: { openRouter: undefined, sandboxUrl: undefined, replyTimeoutMs: 1, idleTimeoutMs: 1, ...upstreams },
  }
}

export const openRouter = { baseUrl: 'http://openrouter.test/v1', apiKey: 'or-key' }

export const launchCatalog = (): Catalog => loadCatalog(catalogConfig({ openRouter }))

export function launchModel(id: string): CatalogEntry {
  const entry = launchCatalog().find(id)
  if (entry === undefined) throw new Error(`no ${id} in the launch catalog`)
  return entry
}

/** What a refused request is told, as a table's cell. */
export interface Refusal {
  status: number
  code: string
  type: string | undefined
  param: string | undefined
}

export const refusalOf = ({ status, code, type, param }: DomainError): Refusal => ({ status, code, type, param })

/** The domain error that the work throws; fails where it throws none or another. */
export function thrownBy(work: () => unknown): DomainError {
  try {
    work()
  } catch (error) {
    if (error instanceof DomainError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

/** The same of a promise. */
export async function rejectedBy<E extends Error>(
  kind: abstract new (...args: never[]) => E,
  work: Promise<unknown>,
): Promise<E> {
  const outcome: unknown = await work.then(
    () => new Error('nothing was thrown'),
    (error: unknown) => error,
  )
  if (outcome instanceof kind) return outcome
  throw outcome
}

/** A promise and the means to settle it. */
export function deferred<T>() {
  let resolve!: (value: T) => void
  let reject!: (error: unknown) => void
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

/** Lets everything that is ready to run do so. */
export const settled = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
