import type { CacheLife } from '../catalog/pricing.rules.ts'

/** The field by which Anthropic's and Alibaba's models, also behind gateways, are asked to cache what stands before it. */
const HINT = '"cache_control":'
/** A life other than the usual five minutes. */
const OTHER_LIFE = /"ttl":(?!"5m")/

/**
 * How long a body asks to be cached, wherever in it. Of its JSON, so that nothing is walked through: quotes are escaped
 * in texts, and so the name of a field with its colon is never part of one. Two lives in one body count as the longer.
 */
export function cacheLifeOf(json: string): CacheLife {
  if (!json.includes(HINT)) return undefined
  return OTHER_LIFE.test(json) ? '1h' : '5m'
}
