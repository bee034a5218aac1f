import { setImmediate } from 'node:timers/promises'
import { pictureHeadOf, type Picture } from './image.rules.ts'

/** Looked through at once: some 5 ms. */
const PIECE_CHARACTERS = 4 * 1024 * 1024
const BASE64 = /^[A-Za-z0-9+/]*$/

/** A picture by its data URL (RFC 2397). Undefined for anything else. A large one is looked through in pieces. */
export async function pictureOf(dataUrl: string): Promise<Picture | undefined> {
  const head = pictureHeadOf(dataUrl)
  if (head === undefined) return undefined
  const end = dataUrl.length - (/={0,2}$/.exec(dataUrl.slice(-2))?.[0].length ?? 0)
  if (end === head.length) return undefined
  for (let at = head.length; at < end; at += PIECE_CHARACTERS) {
    if (at > head.length) await setImmediate()
    if (!BASE64.test(dataUrl.slice(at, Math.min(end, at + PIECE_CHARACTERS)))) return undefined
  }
  return { mediaType: head.mediaType, base64: dataUrl.slice(head.length) }
}
