import { join } from 'node:path'

/**
 * Keys as paths. Every name is chosen so that no key leaves the root, keys that differ by case stay apart on file
 * systems that ignore case, and the key `a` can lie beside `a/b`:
 *
 *   a-z 0-9 - _ .    as they are (a leading dot is escaped: no hidden files, no `..`)
 *   A-Z              `=` and the small letter
 *   everything else  `%` and two hex digits
 *   name+            a folder: the `/` after a segment
 *   name~            64 characters of a longer segment; what is left of it lies in there (`%` where nothing is)
 *
 * The last rule keeps names under the 255 bytes of file systems. Cutting at a fixed count of characters, and always
 * where a segment has that many, is what keeps a folder's entries in byte order of the keys (file-listing.ts).
 */
const PIECE_LENGTH = 64

export function objectPath(root: string, key: string): string {
  const segments = key.split('/')
  const name = segments.pop() ?? ''
  return join(root, ...segments.flatMap(segment => namesOf(segment, '+')), ...namesOf(name, ''))
}

/** The folder of all keys that begin with `prefix`, which is empty or ends in a slash. */
export function folderPath(root: string, prefix: string): string {
  return join(
    root,
    ...prefix
      .split('/')
      .slice(0, -1)
      .flatMap(segment => namesOf(segment, '+')),
  )
}

/** What an entry of a folder adds to the key; undefined where the entry is none of ours. */
export function tokenOf(entryName: string, isFolder: boolean): string | undefined {
  const marker = isFolder ? entryName.slice(-1) : ''
  if (isFolder && marker !== '+' && marker !== '~') return undefined
  const encoded = isFolder ? entryName.slice(0, -1) : entryName
  const decoded = decode(encoded)
  if (encode(decoded) !== encoded || (marker === '~') !== (decoded.length === PIECE_LENGTH)) return undefined
  return marker === '+' ? `${decoded}/` : decoded
}

function namesOf(segment: string, marker: '+' | ''): string[] {
  const names: string[] = []
  let rest = segment
  for (; rest.length >= PIECE_LENGTH; rest = rest.slice(PIECE_LENGTH)) {
    names.push(`${encode(rest.slice(0, PIECE_LENGTH))}~`)
  }
  return [...names, encode(rest) + marker]
}

function encode(text: string): string {
  if (text === '') return '%'
  return text.replace(/^\.|[^a-z0-9._-]/g, character =>
    /[A-Z]/.test(character)
      ? `=${character.toLowerCase()}`
      : `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}

function decode(name: string): string {
  if (name === '%') return ''
  return name.replace(/=([a-z])|%([0-9a-f]{2})/g, (_, letter: string | undefined, hex: string) =>
    letter === undefined ? String.fromCharCode(Number.parseInt(hex, 16)) : letter.toUpperCase(),
  )
}
