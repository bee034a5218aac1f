import { mkdir, writeFile } from 'node:fs/promises'
import { arch, availableParallelism, cpus, release, totalmem, type } from 'node:os'
import { fileURLToPath } from 'node:url'

export const RESULTS = fileURLToPath(new URL('./results/', import.meta.url))

const machine = () => ({
  cores: availableParallelism(),
  cpu: cpus()[0]?.model ?? 'unknown',
  memory_gb: Math.round(totalmem() / 2 ** 30),
  os: `${type()} ${release().split('-')[0]} ${arch()}`,
  node: process.version,
})

export async function writeResult(name, result) {
  await mkdir(RESULTS, { recursive: true })
  const whole = { machine: machine(), date: new Date().toISOString(), ...result }
  await writeFile(`${RESULTS}${name}.json`, `${JSON.stringify(whole, null, 2)}\n`)
}

/** Rows as aligned text: names to the left, figures to the right. */
export function table(rows) {
  if (rows.length === 0) return ''
  const columns = [...new Set(rows.flatMap(row => Object.keys(row)))]
  const lines = [columns, ...rows.map(row => columns.map(column => textOf(row[column])))]
  const widths = columns.map((_, place) => Math.max(...lines.map(line => line[place].length)))
  const isNumber = columns.map(column => rows.some(row => typeof row[column] === 'number'))
  return lines
    .map(line => line.map((text, place) => aligned(text, widths[place], isNumber[place])).join('  '))
    .join('\n')
}

const aligned = (text, width, isNumber) => (isNumber ? text.padStart(width) : text.padEnd(width))

function textOf(value) {
  if (value === null || value === undefined) return '-'
  return typeof value === 'number' ? value.toLocaleString('en', { maximumFractionDigits: 3 }) : String(value)
}

export const goalLines = goals => goals.map(({ goal, value, met }) => `  ${verdict(met)}  ${goal}: ${textOf(value)}`)

const verdict = met => (met === null ? 'not measured' : met ? 'met         ' : 'MISSED      ')
