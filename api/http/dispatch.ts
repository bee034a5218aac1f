import type { Context, Next } from 'koa'
import Router, { type Layer } from '@koa/router'
import type { AnyRoute } from './route.ts'

export const VERSION_PREFIX = '/v1'
/** Enough for any operation's path, so that a path of thousands of slashes is not looked up thousands of times. */
const MOST_SEGMENTS = 8

/** Where to find what answers a request. Paths are those of requests, raw and with the version. */
export interface Dispatch<Target> {
  /** What answers the method at the path, and what stands there in the place of its parameters, decoded. */
  find(method: string, path: string): Found<Target> | undefined
  /** The methods that the path takes; none where it is unknown. */
  methodsOf(path: string): string[]
  /** The declared path of the operation that the end of a path is: its beginning is a wrong base URL. */
  behindWrongBase(path: string): string | undefined
}

export interface Found<Target> {
  target: Target
  params: Record<string, string>
}

const NO_PARAMS: Record<string, string> = {}

/**
 * Finds routes by @koa/router's own `match`, which tries the pattern of every route it has. So the routes are put into
 * routers by their literal words, the first and the third (`/projects/{project_id}/cron`); a request is tried with the
 * few of its own words, however many others there are. The routers run nothing: a mark stands for each target.
 */
export function createDispatch<Target>(targets: ReadonlyMap<AnyRoute, Target>): Dispatch<Target> {
  const routers = new Map<string, Router>()
  const marks = new Map<unknown, { route: AnyRoute; target: Target }>()
  for (const [route, target] of [...targets].toSorted(([one], [other]) => precedence(one) - precedence(other))) {
    const words = literalsOf(route)
    const router = routers.get(words) ?? new Router({ prefix: VERSION_PREFIX })
    routers.set(words, router)
    const mark = (_: Context, next: Next) => next()
    marks.set(mark, { route, target })
    router.register(routerPath(route), [route.method], mark)
  }
  const routersOf = (path: string) => {
    if (!path.startsWith(`${VERSION_PREFIX}/`)) return []
    const [first, third] = wordsOf(path.slice(VERSION_PREFIX.length))
    return [routers.get(`${first}/${third}`), routers.get(first)]
  }
  const layersOf = (path: string) => routersOf(path).flatMap(router => router?.match(path, 'GET').path ?? [])
  const routeAt = (path: string) => marks.get(layersOf(VERSION_PREFIX + path)[0]?.stack[0])?.route.path
  return {
    find: (method, path) => {
      for (const router of routersOf(path)) {
        const layer = router?.match(path, method).pathAndMethod[0]
        const found = marks.get(layer?.stack[0])
        if (layer !== undefined && found !== undefined) return { target: found.target, params: paramsOf(layer, path) }
      }
      return undefined
    },
    methodsOf: path => [...new Set(layersOf(path).flatMap(layer => layer.methods))],
    behindWrongBase: path => pathsWithin(path).map(routeAt).find(isFound),
  }
}

const paramsOf = (layer: Layer, path: string): Record<string, string> =>
  layer.paramNames.length === 0 ? NO_PARAMS : layer.params(path, layer.captures(path))

const isFound = (path: string | undefined): boolean => path !== undefined

/** What is written out comes before what a parameter takes too, and an own HEAD before GET's. */
const precedence = ({ method, path, tail }: AnyRoute): number =>
  path.split('{').length * 4 + (tail ? 2 : 0) + (method === 'HEAD' ? 0 : 1)

/** The words by which a route is found: the first alone where anything may stand in the third's place. */
function literalsOf({ path, tail }: AnyRoute): string {
  const [first, third] = wordsOf(path)
  const isOpen = third.startsWith('{') || (third === '' && tail)
  return isOpen ? first : `${first}/${third}`
}

/** The first and the third segment of a path; '' where there is none. */
function wordsOf(path: string): [string, string] {
  const first = endOfSegment(path, 1)
  const second = endOfSegment(path, first + 1)
  return [path.slice(1, first), path.slice(second + 1, endOfSegment(path, second + 1))]
}

function endOfSegment(path: string, start: number): number {
  const end = path.indexOf('/', start)
  return end === -1 ? path.length : end
}

/** `/a/v1/chat/completions`: itself, then `/v1/chat/completions`, `/chat/completions` … Slashes that are doubled count once. */
function pathsWithin(path: string): string[] {
  const segments = path.split('/', 4 * MOST_SEGMENTS).filter(segment => segment !== '')
  return segments.slice(0, MOST_SEGMENTS).map((_, start) => `/${segments.slice(start).join('/')}`)
}

/** OpenAPI's `/files/{file_id}` as the router's `/files/:file_id`; a tail parameter takes the rest, slashes and all. */
function routerPath({ path, tail }: AnyRoute): string {
  const named = path.replaceAll(/\{(\w+)\}/g, ':$1')
  return tail ? named.replace(/:(\w+)$/, '*$1') : named
}
