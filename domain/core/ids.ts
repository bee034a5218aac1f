import { randomFillSync } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'

export type IdPrefix =
  'user' | 'proj' | 'key' | 'file' | 'batch' | 'credit' | 'cred' | 'turn' | 'resp' | 'video' | 'trial'

/** A new opaque id, `prefix_` and a UUIDv7's hex digits (RFC 9562): ids of a kind sort by their time. */
export const newId = (prefix: IdPrefix): string => `${prefix}_${newUuid().replaceAll('-', '')}`

/** A request's id: a bare UUIDv7. */
export const newRequestId = (): string => newUuid()

const RANDOM_BYTES = 16
/** The system is asked for the randomness of many ids at once: one by one that is most of what an id costs. */
const pool = Buffer.alloc(RANDOM_BYTES * 256)
let poolUsed = pool.length
let last = { msecs: 0, seq: 0 }

/** A UUIDv7 above all that this process made before: those of one millisecond are counted (RFC 9562 section 6.2). */
function newUuid(): string {
  const random = randomBytes()
  const now = Date.now()
  // Half of the counter's range at the most, so that there is room to count.
  last = now > last.msecs ? { msecs: now, seq: random.readUInt32BE(6) >>> 1 } : { ...last, seq: last.seq + 1 }
  return uuidv7({ ...last, random })
}

function randomBytes(): Buffer {
  if (poolUsed === pool.length) {
    randomFillSync(pool)
    poolUsed = 0
  }
  poolUsed += RANDOM_BYTES
  return pool.subarray(poolUsed - RANDOM_BYTES, poolUsed)
}

/** A UUIDv7 has 48 bits for its time. */
const MOST_UUID_MS = 2 ** 48 - 1

/** Below every UUIDv7 of this time, and above those of before. */
export function firstUuidAt(timeMs: number): string {
  const hex = Math.min(Math.max(0, timeMs), MOST_UUID_MS).toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`
}

/** The UUID inside a prefixed id. */
export function uuidOf(id: string): string {
  const hex = id.slice(id.lastIndexOf('_') + 1)
  if (!/^[0-9a-f]{32}$/.test(hex)) throw new TypeError('not a prefixed id')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** The prefixed id of a UUID; undefined where the text is none. */
export const prefixedId = (prefix: IdPrefix, uuid: string): string | undefined =>
  UUID.test(uuid) ? `${prefix}_${uuid.replaceAll('-', '')}` : undefined

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Whether a text has the form of an id of that prefix: what has not is never asked of the database. */
export const isId = (prefix: IdPrefix, text: string): boolean => new RegExp(`^${prefix}_[0-9a-f]{32}$`).test(text)
