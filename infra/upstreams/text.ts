type Fields = Record<string, unknown>

/** Stands for what cannot be stored: a NUL, which Postgres has no place for, or half of a surrogate pair. */
const REPLACEMENT = '\ufffd'
/** How JSON may write a NUL or half of a pair. Bytes that were decoded as UTF-8 hold neither. */
const SUSPECT = /\\u(?:0000|d[89a-f][\da-f]{2})/i

/** Whether a JSON text may hold what cannot be stored: only such a value has to be looked through. */
export const isSuspect = (json: string): boolean => json.includes('\\u') && SUSPECT.test(json)

export const storableText = (text: string): string => text.replaceAll('\0', REPLACEMENT).toWellFormed()

/** The value with all its texts and names as they can be stored. */
export function storable(value: unknown): unknown {
  if (typeof value === 'string') return storableText(value)
  if (Array.isArray(value)) return value.map(storable)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [storableText(name), storable(item)]))
}

/** Names of texts that a stream sends in pieces: one's last letter may end in the next. */
const CONTINUED = new Set(['content', 'reasoning', 'reasoning_content', 'refusal', 'arguments', 'text', 'transcript'])
const ENDS_IN_SURROGATE = /[\ud800-\udbff]$/

/** Where a text stands in a delta: names of fields, numbers of list items. */
type Path = readonly (string | number)[]

/** Joins letters whose halves come in two deltas: the first half waits for the next piece of the same text. */
export class SurrogateJoiner {
  private readonly held = new Map<string, { path: Path; half: string }>()

  get isHolding(): boolean {
    return this.held.size > 0
  }

  /** The delta with whole letters. The last one of its choice leaves nothing behind. */
  join(delta: Fields, isLast: boolean): Fields {
    const joined = this.joinedFields(delta, [], isLast)
    if (isLast) for (const { path } of this.held.values()) addText(joined, path, REPLACEMENT)
    if (isLast) this.held.clear()
    return joined
  }

  private joinedFields(fields: Fields, path: Path, isLast: boolean): Fields {
    const entries = Object.entries(fields).map(
      ([name, value]) => [storableText(name), this.joined(value, [...path, name], isLast)] as const,
    )
    return Object.fromEntries(entries)
  }

  private joined(value: unknown, path: Path, isLast: boolean): unknown {
    if (typeof value === 'string') return this.joinedText(value, path, isLast)
    if (Array.isArray(value)) {
      return value.map((item: unknown, position) => this.joined(item, [...path, positionOf(item, position)], isLast))
    }
    return typeof value === 'object' && value !== null ? this.joinedFields(value as Fields, path, isLast) : value
  }

  private joinedText(text: string, path: Path, isLast: boolean): string {
    const key = JSON.stringify(path)
    const whole = (this.held.get(key)?.half ?? '') + text
    this.held.delete(key)
    const isLoneSurrogate = !isLast && CONTINUED.has(String(path.at(-1))) && ENDS_IN_SURROGATE.test(whole)
    if (!isLoneSurrogate) return storableText(whole)
    this.held.set(key, { path, half: whole.slice(-1) })
    return storableText(whole.slice(0, -1))
  }
}

/** Pieces of one thing in a list are told apart by its number. */
function positionOf(item: unknown, position: number): number {
  const index = typeof item === 'object' && item !== null ? (item as Fields)['index'] : undefined
  return typeof index === 'number' ? index : position
}

/** Adds a text to a delta that has nothing at its path. */
function addText(fields: Fields, [name, ...path]: Path, text: string): void {
  if (typeof name !== 'string') return
  const [position, ...inner] = path
  if (position === undefined) fields[name] = text
  else if (typeof position === 'number') {
    const item: Fields = { index: position }
    addText(item, inner, text)
    fields[name] = [...((fields[name] as unknown[] | undefined) ?? []), item]
  } else {
    const nested: Fields = { ...(fields[name] as Fields | undefined) }
    addText(nested, path, text)
    fields[name] = nested
  }
}
