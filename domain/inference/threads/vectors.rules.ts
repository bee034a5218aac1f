type Fields = Record<string, unknown>

/** A vector's numbers; packed where a reply is large, since a thread's copy of a million numbers is dear otherwise. */
export type Vector = readonly number[] | Float64Array

export const isVector = (value: unknown): value is Vector =>
  value instanceof Float64Array || (Array.isArray(value) && value.length > 0 && value.every(Number.isFinite))

/** An embeddings reply with its vectors packed; any other value is as it was. */
export function withPackedVectors(reply: unknown): unknown {
  const data = typeof reply === 'object' && reply !== null ? (reply as Fields)['data'] : undefined
  if (!Array.isArray(data)) return reply
  return { ...(reply as Fields), data: data.map(withPackedVector) }
}

function withPackedVector(item: unknown): unknown {
  const vector = typeof item === 'object' && item !== null ? (item as Fields)['embedding'] : undefined
  return Array.isArray(vector) && isVector(vector)
    ? { ...(item as Fields), embedding: Float64Array.from(vector) }
    : item
}
