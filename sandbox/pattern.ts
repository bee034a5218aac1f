/** A reading position in a regular expression's source. */
interface Cursor {
  source: string
  at: number
}

const MAX_LENGTH = 1_000_000

/** The expression uses look-around or back references, or has no match of a reasonable length. */
class Unknown extends Error {}

/**
 * A text that a regular expression (ECMA-262) matches, or undefined where it uses look-around or back references or
 * the text gets too long. `repeats` is how often a quantifier without an upper bound repeats. The first alternative
 * and the first fitting character are taken. The expression must be valid.
 */
export function stringMatching(pattern: string, repeats: number): string | undefined {
  try {
    return alternation({ source: pattern, at: 0 }, repeats)
  } catch (error) {
    if (error instanceof Unknown) return undefined
    throw error
  }
}

function alternation(cursor: Cursor, repeats: number): string {
  const first = sequence(cursor, repeats)
  while (cursor.source[cursor.at] === '|') {
    cursor.at += 1
    sequence(cursor, repeats)
  }
  return first
}

function sequence(cursor: Cursor, repeats: number): string {
  let text = ''
  while (cursor.at < cursor.source.length && !'|)'.includes(cursor.source[cursor.at] ?? '')) {
    const piece = atom(cursor, repeats)
    const times = quantity(cursor, repeats)
    if (piece.length * times > MAX_LENGTH) throw new Unknown()
    text += piece.repeat(times)
  }
  return text
}

function atom(cursor: Cursor, repeats: number): string {
  const rest = cursor.source.slice(cursor.at)
  if (rest.startsWith('(')) return group(cursor, repeats)
  const source = ATOM.exec(rest)?.[0] ?? ''
  cursor.at += source.length
  if (source === '^' || source === '$' || source === '\\b') return ''
  if (/^\\([1-9]|k<|B)/.test(source)) throw new Unknown()
  return source.length === 1 && source !== '.' ? source : firstCharacter(source)
}

/** A class, an escape (with its operand), or one character. */
const ATOM = /^(\[(\\.|[^\]\\])*\]|\\(u\{[^}]*\}|u.{4}|x..|c.|[pPk][{<][^}>]*[}>]|.)|.)/su

function group(cursor: Cursor, repeats: number): string {
  const opening = /^\((\?:|\?<[^=!>][^>]*>|(?!\?))/.exec(cursor.source.slice(cursor.at))?.[0]
  if (opening === undefined) throw new Unknown()
  cursor.at += opening.length
  const text = alternation(cursor, repeats)
  cursor.at += 1
  return text
}

function quantity(cursor: Cursor, repeats: number): number {
  const match = /^(?:([*+?])|\{(\d+)(,?)(\d*)\})\??/.exec(cursor.source.slice(cursor.at))
  if (!match) return 1
  cursor.at += match[0].length
  const [, sign, least, comma, most] = match
  const min = sign === undefined ? Number(least) : sign === '+' ? 1 : 0
  const bounded = sign === '?' ? 1 : comma === '' ? min : most ? Number(most) : Infinity
  return Math.min(bounded, Math.max(min, repeats))
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz'
const OTHERS = ' -_.!"#$%&\'()*+,/:;<=>?@[\\]^`{|}~\t\nä漢🙂'
const CANDIDATES = Array.from(`${LETTERS}0123456789${LETTERS.toUpperCase()}${OTHERS}`)

function firstCharacter(source: string): string {
  const expression = new RegExp(`^${source}$`, 'u')
  const found = CANDIDATES.find(character => expression.test(character))
  if (found === undefined) throw new Unknown()
  return found
}
