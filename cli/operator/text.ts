const COLUMN_GAP = '  '
// eslint-disable-next-line no-control-regex -- these are what must not reach a terminal
const CONTROL = /[\u0000-\u001f\u007f-\u009f]+/g

/** Text of others, made safe for a terminal: one line, no control characters. */
export const printable = (text: string): string => text.replace(CONTROL, ' ').trim()

/** At most so many characters, the last an ellipsis where something was cut. */
export function shortened(text: string, mostCharacters: number): string {
  const characters = [...text]
  if (characters.length <= mostCharacters) return text
  return `${characters
    .slice(0, Math.max(0, mostCharacters - 1))
    .join('')
    .trimEnd()}…`
}

const widthOf = (text: string): number => [...text].length

/** Columns aligned under their titles; those named in `right` are figures. */
export function table(
  titles: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly string[] = [],
): string {
  const lines = [titles, ...rows].map(row => row.map(printable))
  const widths = titles.map((_, column) => Math.max(...lines.map(line => widthOf(line[column] ?? ''))))
  const cell = (text: string, column: number) => {
    const padding = ' '.repeat(Math.max(0, (widths[column] ?? 0) - widthOf(text)))
    return right.includes(titles[column] ?? '') ? padding + text : text + padding
  }
  return lines.map(line => line.map(cell).join(COLUMN_GAP).trimEnd()).join('\n')
}

/** Names and values under each other. */
export function fields(entries: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...entries.map(([name]) => widthOf(name)))
  return entries.map(([name, value]) => `${name.padEnd(width)}${COLUMN_GAP}${printable(value)}`.trimEnd()).join('\n')
}

/** `42s`, `3m 12s`, `5h 02m`, `2d 04h`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0')
  if (whole < 60) return `${whole}s`
  if (whole < 3_600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`
  if (whole < 86_400) return `${Math.floor(whole / 3_600)}h ${two((whole % 3_600) / 60)}m`
  return `${Math.floor(whole / 86_400)}d ${two((whole % 86_400) / 3_600)}h`
}

export const moment = (date: Date | null): string =>
  date === null ? '-' : date.toISOString().replace(/\.\d{3}Z$/, 'Z')
