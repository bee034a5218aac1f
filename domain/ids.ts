import { v7 as uuidv7 } from 'uuid'

export type IdPrefix =
  'user' | 'proj' | 'key' | 'file' | 'batch' | 'credit' | 'cred' | 'turn' | 'resp' | 'video' | 'trial'

/** A new opaque id, `prefix_` and a UUIDv7's hex digits (RFC 9562): ids of a kind sort by their time. */
export const newId = (prefix: IdPrefix): string => `${prefix}_${uuidv7().replaceAll('-', '')}`

/** A request's id: a bare UUIDv7. */
export const newRequestId = (): string => uuidv7()

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
