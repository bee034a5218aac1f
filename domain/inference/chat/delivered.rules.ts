import type { TokenUsage } from '../tokens/token-usage.rules.ts'

/** Of English prose and code; other scripts take more tokens a character. */
const CHARACTERS_PER_TOKEN = 4
/** Looked at of a request; what lies beyond counts nothing. */
const MOST_VALUES = 10_000

/**
 * About what a chat has used by now, without reading any text: from the lengths of its texts alone. Too low rather than
 * too high (a third to a quarter of it for Chinese, nothing for pictures): it is charged where nobody is left who could
 * count.
 */
export const deliveredUsage = (inputCharacters: number, outputCharacters: number): TokenUsage => ({
  input: Math.floor(inputCharacters / CHARACTERS_PER_TOKEN),
  output: Math.floor(outputCharacters / CHARACTERS_PER_TOKEN),
})

/** How long all texts in a value are together, but data URLs. */
export function charactersIn(value: unknown): number {
  const waiting = [value]
  let characters = 0
  for (let seen = 0; waiting.length > 0 && seen < MOST_VALUES; seen += 1) {
    const next = waiting.pop()
    const room = MOST_VALUES - seen - waiting.length
    if (typeof next === 'string') characters += next.startsWith('data:') ? 0 : next.length
    else if (Array.isArray(next)) waiting.push(...(next.slice(0, room) as unknown[]))
    else if (typeof next === 'object' && next !== null)
      waiting.push(...(Object.values(next).slice(0, room) as unknown[]))
  }
  return characters
}
