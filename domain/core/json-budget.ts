import { badRequest, DomainError } from './errors.ts'

/** Objects, arrays and their fields: what makes a body dear to parse, copy, check and write. */
export const MOST_STRUCTURES = 50_000
/** Of arrays, such as the numbers of tokens, which are cheap. */
const MOST_VALUES = 500_000
/** As deep as later recursion may follow. */
const MOST_LEVELS = 200
/** More make an object a dictionary, whose every check is slow. */
const MOST_KEYS_OF_OBJECT = 2_000

const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_ARRAY = 0x5b
const BACKSLASH = 0x5c
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/**
 * Counts what is in a JSON text (RFC 8259) as its bytes arrive, before anything is made of them. What is no JSON is
 * counted somehow and refused later, by the parser.
 */
export class JsonBudget {
  private inString = false
  private isEscaped = false
  private structures = 0
  private values = 0
  private depth = 0
  private readonly keysAt = new Uint32Array(MOST_LEVELS + 1)

  /** Errors: 413 naming the limit that the bytes so far exceed; 400 where that is the levels. */
  take(part: Uint8Array): void {
    for (let at = 0; at < part.length; at++) {
      const byte = part[at] as number
      if (!this.inString) this.takeOutside(byte)
      else if (this.isEscaped) this.isEscaped = false
      else if (byte === BACKSLASH) this.isEscaped = true
      else if (byte === QUOTE) this.inString = false
    }
  }

  private takeOutside(byte: number): void {
    if (byte === QUOTE) this.inString = true
    else if (byte === COMMA) this.values = within(this.values + 1, MOST_VALUES, 'values')
    else if (byte === COLON) this.takeKey()
    else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) this.open()
    else if ((byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) && this.depth > 0) this.depth -= 1
  }

  private takeKey(): void {
    this.takeStructure()
    const keys = (this.keysAt[this.depth] as number) + 1
    this.keysAt[this.depth] = within(keys, MOST_KEYS_OF_OBJECT, 'fields in one object')
  }

  private open(): void {
    this.takeStructure()
    this.depth += 1
    if (this.depth > MOST_LEVELS) throw badRequest(`The body is nested too deeply: in more than ${MOST_LEVELS} levels.`)
    this.keysAt[this.depth] = 0
  }

  private takeStructure(): void {
    this.structures = within(this.structures + 1, MOST_STRUCTURES, 'objects, arrays and fields')
  }
}

function within(count: number, most: number, what: string): number {
  if (count <= most) return count
  throw new DomainError(413, 'bad_request', `The body has more than ${most} ${what}.`, { type: 'payload_too_complex' })
}

/** The same of a value that is there already: its copy for another thread is as dear as its text. */
export function isWithinBudget(value: unknown): boolean {
  const left = { structures: MOST_STRUCTURES, values: MOST_VALUES }
  return fits(value, left, MOST_LEVELS)
}

function fits(value: unknown, left: { structures: number; values: number }, levels: number): boolean {
  left.values -= 1
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return left.values >= 0
  left.structures -= 1
  if (left.structures < 0 || levels === 0) return false
  return Object.values(value).every(item => fits(item, left, levels - 1))
}
