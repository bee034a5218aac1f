/**
 * What is heavier is written, read and compared in a thread. Per MB of text JSON.stringify takes 0.5 ms, 4 ms where all of
 * it is escaped, and for numbers with fractions 10 ms: so what is lighter takes some 5 ms at the most.
 */
export const LARGE_CHARACTERS = 512 * 1024
/** A number, a name's quotes, a bracket: about what is written of them, and what that takes. */
const CHARACTERS_OF_VALUE = 8
/** Deeper ones are for a thread too, whose stack may overflow. */
const MOST_LEVELS = 200

/** Whether work on all of a JSON value may hold the event loop. Looks at no more of it than that takes to tell. */
export const isLarge = (value: unknown): boolean => roomAfter(value, LARGE_CHARACTERS, MOST_LEVELS) < 0

function roomAfter(value: unknown, room: number, levels: number): number {
  if (typeof value === 'string') return room - value.length
  if (typeof value !== 'object' || value === null) return room - CHARACTERS_OF_VALUE
  // Packed numbers, which only a thread writes.
  if (levels === 0 || ArrayBuffer.isView(value)) return -1
  return Array.isArray(value) ? roomAfterItems(value, room, levels - 1) : roomAfterFields(value, room, levels - 1)
}

function roomAfterItems(items: readonly unknown[], room: number, levels: number): number {
  let left = room - CHARACTERS_OF_VALUE
  for (let at = 0; at < items.length && left >= 0; at += 1) left = roomAfter(items[at], left, levels)
  return left
}

function roomAfterFields(fields: object, room: number, levels: number): number {
  let left = room - CHARACTERS_OF_VALUE
  for (const name in fields) {
    left = roomAfter((fields as Record<string, unknown>)[name], left - name.length, levels)
    if (left < 0) return left
  }
  return left
}
