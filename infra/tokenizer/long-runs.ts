/**
 * Byte-pair merging takes time quadratic in the length of one piece, and a piece is a run of letters, of punctuation
 * or of white space: a megabyte of one letter would take minutes. Runs are therefore cut every 256 characters, which
 * changes a count by at most one token a cut and leaves ordinary text as it is.
 */
const RUN_CHARS = 256
const RUN = /[\p{L}\p{M}]{256}|[^\s\p{L}\p{N}]{256}|\s{256}/gu

/** The text in parts that are each cheap to tokenize; joined they are the text. */
export function* tokenizableParts(text: string): Generator<string> {
  if (!mayHaveLongRun(text)) return yield text
  let from = 0
  for (const match of text.matchAll(RUN)) {
    const to = match.index + match[0].length
    yield text.slice(from, to)
    from = to
  }
  if (from < text.length) yield text.slice(from)
}

/** One cheap pass; true also for harmless text without spaces, which the exact expression then looks at. */
function mayHaveLongRun(text: string): boolean {
  let run = 0
  let wasSpace = false
  for (let i = 0; i < text.length; i++) {
    const isSpace = text.charCodeAt(i) <= 0x20
    run = isSpace === wasSpace ? run + 1 : 1
    wasSpace = isSpace
    if (run >= RUN_CHARS) return true
  }
  return false
}
