import type { Readable } from 'node:stream'

export interface Line {
  /** Number in the file, from 1. */
  number: number
  /** Where its bytes begin in the file. */
  offset: number
  bytes: Buffer
}

const NEWLINE = 0x0a
const CARRIAGE_RETURN = 0x0d
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf])

/** The lines of a stream that are not blank, one in memory at a time. A line over the limit is cut a byte after it. */
export async function* linesOf(body: Readable, limitBytes: number): AsyncGenerator<Line> {
  let held: Buffer[] = []
  let heldBytes = 0
  let offset = 0
  let number = 0

  const take = (part: Buffer) => {
    if (heldBytes <= limitBytes) held.push(part.subarray(0, limitBytes + 1 - heldBytes))
    heldBytes += part.length
  }
  const finish = (): Line | undefined => {
    number += 1
    const whole = { number, offset, bytes: Buffer.concat(held) }
    const line = heldBytes > whole.bytes.length ? whole : trimmed(whole)
    offset += heldBytes + 1
    held = []
    heldBytes = 0
    return line.bytes.length === 0 ? undefined : line
  }

  for await (const part of body as AsyncIterable<Buffer>) {
    let start = 0
    for (let end = part.indexOf(NEWLINE); end !== -1; end = part.indexOf(NEWLINE, start)) {
      take(part.subarray(start, end))
      start = end + 1
      const line = finish()
      if (line !== undefined) yield line
    }
    if (start < part.length) take(Buffer.from(part.subarray(start)))
  }
  const last = heldBytes === 0 ? undefined : finish()
  if (last !== undefined) yield last
}

/** Without a byte order mark, a carriage return and white space around it. */
function trimmed({ number, offset, bytes }: Line): Line {
  let start = number === 1 && bytes.subarray(0, 3).equals(BYTE_ORDER_MARK) ? 3 : 0
  let end = bytes.length
  while (end > start && isSpace(bytes[end - 1])) end -= 1
  while (start < end && isSpace(bytes[start])) start += 1
  return { number, offset: offset + start, bytes: bytes.subarray(start, end) }
}

const isSpace = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x09 || byte === CARRIAGE_RETURN
