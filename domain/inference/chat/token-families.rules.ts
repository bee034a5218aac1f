import type { CatalogEntry } from '../catalog/catalog.schema.ts'

/**
 * Of the same ASCII text, tokenizers of two families count less than so many times as many tokens as each other: one has
 * three digits in a token where the other has one. Measured against o200k_base: cl100k_base 0.93 to 1.02 times, p50k_base
 * 1.0 to 2.0 times over prose, code, JSON, hexadecimal, base64 and line breaks.
 */
export const FAMILY_FACTOR = 3
/** No family needs more tokens for ASCII words, though another may have each of them whole. */
const FEWEST_BYTES_PER_TOKEN = 3

/**
 * What that does not hold for: other scripts with their white space (cl100k_base has 6.2 times as many tokens for
 * Georgian, 4.8 for Kannada), and runs of white space or of one sign, which may be one token or as many.
 */
const INCOMPARABLE = /\P{ASCII}[\P{ASCII}\s]*|\s{4,}|(.)\1{3,}/gsu

/** A text as it can be counted for a model. */
export interface Countable {
  text: string
  /** Bytes that are left out of it: each of them may be a token. */
  bytesBesides: number
}

/** All of it for a model whose tokenizer is public; else what o200k_base tells something of. */
export function countableOf(text: string, { tokenizer }: Pick<CatalogEntry, 'tokenizer'>): Countable {
  if (tokenizer !== undefined) return { text, bytesBesides: 0 }
  let bytesBesides = 0
  const rest = text.replace(INCOMPARABLE, part => {
    bytesBesides += Buffer.byteLength(part)
    return ' '
  })
  return { text: rest, bytesBesides }
}

/** The most tokens that the model can make of a text of which so many were counted. */
export function mostTokensOf(
  { text, bytesBesides }: Countable,
  counted: number,
  { tokenizer }: Pick<CatalogEntry, 'tokenizer'>,
): number {
  if (tokenizer !== undefined) return counted
  return Math.max(counted * FAMILY_FACTOR, Math.ceil(text.length / FEWEST_BYTES_PER_TOKEN)) + bytesBesides
}
