import type { Context, Next } from 'koa'
import Router from '@koa/router'
import type { AnyRoute, Method } from './route.ts'

export const VERSION_PREFIX = '/v1'
/** Enough for any operation's path, so that a path of thousands of slashes is not looked up thousands of times. */
const MOST_SEGMENTS = 8

/** Where to find what answers a request. Paths are those of requests, with the version. */
export interface RouteTable<Answer> {
  /** The operation of exactly that path, which has no parameters. */
  named(method: string, path: string): Answer | undefined
  /** The operation whose pattern the path is of, and what stands in the place of its parameters. */
  matching(method: string, path: string): { answer: Answer; params: Record<string, string> } | undefined
  /** The methods that the path takes; none where it is unknown. */
  methodsOf(path: string): string[]
  /** The declared path of the operation that the end of a path is: its beginning is a wrong base URL. */
  behindWrongBase(path: string): string | undefined
}

/**
 * A path without parameters is looked up by its name, the others by their first word and then by pattern: one router
 * for all would try every pattern for every request.
 */
export function routeTable<Answer>(answers: ReadonlyMap<AnyRoute, Answer>): RouteTable<Answer> {
  const byName = new Map<string, Answer>()
  const byWord = new Map<string, Router>()
  const byHandler = new Map<unknown, { route: AnyRoute; answer: Answer }>()
  for (const [route, answer] of answers) {
    if (!route.path.includes('{')) byName.set(`${route.method} ${VERSION_PREFIX}${route.path}`, answer)
    const router = byWord.get(firstWord(route.path)) ?? new Router({ prefix: VERSION_PREFIX })
    byWord.set(firstWord(route.path), router)
    // Routers only find the place here: a handler stands for its answer.
    const handler = (_: Context, next: Next) => next()
    byHandler.set(handler, { route, answer })
    router.register(routerPath(route), [route.method], handler)
  }
  const match = (method: string, path: string) => {
    if (!path.startsWith(`${VERSION_PREFIX}/`)) return undefined
    return byWord.get(firstWord(path.slice(VERSION_PREFIX.length)))?.match(path, method)
  }
  const layersOf = (path: string) => match('GET' satisfies Method, path)?.path ?? []
  const routeAt = (path: string) => byHandler.get(layersOf(VERSION_PREFIX + path)[0]?.stack[0])?.route.path
  return {
    named: (method, path) => byName.get(`${method} ${path}`),
    matching: (method, path) => {
      const layer = match(method, path)?.pathAndMethod[0]
      const found = byHandler.get(layer?.stack[0])
      if (layer === undefined || found === undefined) return undefined
      return { answer: found.answer, params: layer.params(path, layer.captures(path)) }
    },
    methodsOf: path => [...new Set(layersOf(path).flatMap(layer => layer.methods))],
    behindWrongBase: path => pathsWithin(path).map(routeAt).find(isFound),
  }
}

const isFound = (path: string | undefined): boolean => path !== undefined
const firstWord = (path: string): string => path.split('/', 2)[1] ?? ''

/** `/a/v1/chat/completions`: itself, then `/v1/chat/completions`, `/chat/completions` … Slashes that are doubled count once. */
function pathsWithin(path: string): string[] {
  const segments = path.split('/', 4 * MOST_SEGMENTS).filter(segment => segment !== '')
  return segments.slice(0, MOST_SEGMENTS).map((_, start) => `/${segments.slice(start).join('/')}`)
}

/** OpenAPI's `/files/{file_id}` as the router's `/files/:file_id`; a tail parameter takes the rest, slashes and all. */
function routerPath({ path, tail }: AnyRoute): string {
  const named = path.replaceAll(/\{(\w+)\}/g, ':$1')
  return tail === true ? named.replace(/:(\w+)$/, '*$1') : named
}
