import type { ProviderRoute } from '../catalog/catalog.ts'
import type { Owner } from '../../core/caller.rules.ts'
import { nameOfRoute } from './route-name.ts'

const SESSION_LIMIT = 50_000
const EXPIRES_AFTER_MS = 60 * 60_000

interface Session {
  owner: Owner
  modelId: string
  sessionId: string
}

/**
 * Where the last call of a session was answered: the next one finds its prompt cache warm there. It is this process's
 * memory, a preference and no promise: another process, or a route that fails, starts it anew.
 */
export interface Sessions {
  routeOf(session: Session, routes: readonly ProviderRoute[]): ProviderRoute | undefined
  note(session: Session, route: ProviderRoute): void
}

export function createSessions(): Sessions {
  const sessions = new Map<string, { route: string; seenAtMs: number }>()
  return {
    routeOf: (session, routes) => {
      const known = sessions.get(keyOf(session))
      if (known === undefined || Date.now() - known.seenAtMs > EXPIRES_AFTER_MS) return undefined
      return routes.find(route => nameOfRoute(route) === known.route)
    },
    note: (session, route) => {
      const key = keyOf(session)
      // Map keeps the order of insertion: the first is the one that was quiet for longest.
      sessions.delete(key)
      sessions.set(key, { route: nameOfRoute(route), seenAtMs: Date.now() })
      if (sessions.size > SESSION_LIMIT) sessions.delete(sessions.keys().next().value ?? '')
    },
  }
}

const keyOf = ({ owner, modelId, sessionId }: Session): string =>
  JSON.stringify([owner.userId, owner.projectId, modelId, sessionId])
