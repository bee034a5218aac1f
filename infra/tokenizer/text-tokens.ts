import { encodingApi, type Encoding } from './encodings.ts'
import { tokenizableParts } from './long-runs.ts'

/** Text like `<|endoftext|>` is what a user wrote, not a control token: counted as plain text, never refused. */
const AS_PLAIN_TEXT = { disallowedSpecial: new Set<string>() }

/** The longest token of both vocabularies, a run of spaces. */
const MAX_TOKEN_BYTES = 128

/** A count of tokens, or where it was stopped. */
export interface TokenCount {
  tokens: number
  /** There are more: the count ended when it had passed its bound. */
  isAtLeast: boolean
}

/** Counts texts together, no further than to the first token beyond a bound. */
export interface Counting {
  readonly encoding: Encoding
  /** Whether the bound was passed. */
  readonly isOver: boolean
  /** Tokens of a text, as far as they were counted. Unpaired surrogates count as U+FFFD. */
  count(text: string): number
}

export function createCounting(encoding: Encoding, most = Number.POSITIVE_INFINITY): Counting {
  let left = most
  const count = (text: string): number => {
    let tokens = 0
    for (const part of tokenizableParts(text)) {
      if (left < 0) return tokens
      const counted = tokensUpTo(part, left, encoding)
      tokens += counted
      left -= counted
    }
    return tokens
  }
  return {
    encoding,
    count,
    get isOver() {
      return left < 0
    },
  }
}

/** One more than the limit where there are more. */
function tokensUpTo(part: string, limit: number, encoding: Encoding): number {
  const api = encodingApi(encoding)
  if (part.length <= limit) return api.countTokens(part, AS_PLAIN_TEXT)
  const tokens = api.isWithinTokenLimit(part, limit, AS_PLAIN_TEXT)
  return tokens === false ? limit + 1 : tokens
}

/** Tokens of a text. */
export const countTextTokens = (text: string, encoding: Encoding = 'o200k_base'): number =>
  createCounting(encoding).count(text)

/** Tokens of texts together, counted no further than to the first beyond `most`. */
export function countTextTokensUpTo(most: number, texts: readonly string[], encoding: Encoding): TokenCount {
  const counting = createCounting(encoding, most)
  const tokens = texts.reduce((sum, text) => sum + counting.count(text), 0)
  return { tokens, isAtLeast: counting.isOver }
}

/**
 * Whether a text has at most `limit` tokens. Decided by its size in bytes where that is certain (a token is at least
 * one byte and at most 128), else counted until the limit is passed.
 */
export function isWithinTokenLimit(text: string, limit: number, encoding: Encoding = 'o200k_base'): boolean {
  const bytes = Buffer.byteLength(text)
  if (bytes <= limit) return true
  if (bytes > limit * MAX_TOKEN_BYTES) return false
  let left = limit
  for (const part of tokenizableParts(text)) {
    const tokens = encodingApi(encoding).isWithinTokenLimit(part, left, AS_PLAIN_TEXT)
    if (tokens === false) return false
    left -= tokens
  }
  return true
}

/** A text's first tokens as text; the text itself if it has no more. A character cut in half is left out. */
export function firstTokens(text: string, limit: number, encoding: Encoding = 'o200k_base'): string {
  const api = encodingApi(encoding)
  const tokens: number[] = []
  for (const part of tokenizableParts(text)) {
    for (const token of api.encode(part, AS_PLAIN_TEXT)) {
      if (tokens.length === limit) return api.decode(tokens).replace(/\uFFFD+$/, '')
      tokens.push(token)
    }
  }
  return text
}

/** The text of token ids, as clients send them for embeddings; undefined if one is not of the vocabulary. */
export function textOfTokens(tokens: readonly number[], encoding: Encoding): string | undefined {
  const api = encodingApi(encoding)
  try {
    return api.decode(tokens)
  } catch {
    // Throws for an unknown id and for nothing else; the vocabulary has holes, so its size cannot tell beforehand.
    return undefined
  }
}

/** A rough count where only a size is known: four bytes a token, OpenAI's rule of thumb for English. */
export function estimateTokensFromBytes(bytes: number): number {
  return Math.ceil(bytes / 4)
}
