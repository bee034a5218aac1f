/** Five columns and seven rows of dots a letter, a row in five digits of binary. */
const LETTERS: Record<string, string> = {
  S: '01111 10000 10000 01110 00001 00001 11110',
  A: '01110 10001 10001 11111 10001 10001 10001',
  N: '10001 11001 10101 10011 10001 10001 10001',
  D: '11110 10001 10001 10001 10001 10001 11110',
  B: '11110 10001 10001 11110 10001 10001 11110',
  O: '01110 10001 10001 10001 10001 10001 01110',
  X: '10001 10001 01010 00100 01010 10001 10001',
  s: '00000 00000 01110 10000 01110 00001 11110',
  x: '00000 00000 10001 01010 00100 01010 10001',
  0: '01110 10001 10011 10101 11001 10001 01110',
  1: '00100 01100 00100 00100 00100 00100 01110',
  2: '01110 10001 00001 00110 01000 10000 11111',
  3: '11110 00001 00001 01110 00001 00001 11110',
  4: '00010 00110 01010 10010 11111 00010 00010',
  5: '11111 10000 11110 00001 00001 10001 01110',
  6: '00110 01000 10000 11110 10001 10001 01110',
  7: '11111 00001 00010 00100 01000 01000 01000',
  8: '01110 10001 10001 01110 10001 10001 01110',
  9: '01110 10001 10001 01111 00001 00010 01100',
}
const COLUMNS = 6
const MARGIN = 2
const ROWS = 7

/** A text on its ground, as wide as fits; `at` tells whether a pixel is written on, undefined outside of the ground. */
export function labelOf(text: string, pictureWidth: number) {
  const letters = [...text].map(letter => (LETTERS[letter] ?? '').split(' '))
  const across = letters.length * COLUMNS - 1 + 2 * MARGIN
  const dot = Math.max(1, Math.floor((pictureWidth * 0.8) / across))
  const at = (x: number, y: number): boolean | undefined => {
    const [column, row] = [Math.floor(x / dot), Math.floor(y / dot)]
    if (column < 0 || column >= across || row < 0 || row >= ROWS + 2 * MARGIN) return undefined
    const [inText, line] = [column - MARGIN, row - MARGIN]
    return letters[Math.floor(inText / COLUMNS)]?.[line]?.[inText % COLUMNS] === '1'
  }
  return { width: across * dot, height: (ROWS + 2 * MARGIN) * dot, at }
}
