import { readFile, writeFile } from 'node:fs/promises'
import { RESULTS } from './report.mjs'

const CONNECTIONS = 32
const LABELS = {
  ipop: ['IPOP', 'keys, prices, bills and records every call'],
  'pass-through': ['bare Koa + undici', 'passes through, does nothing else'],
  portkey: ['Portkey 1.15', 'no billing, no record'],
  litellm: ['LiteLLM 1.106', 'two workers; no billing, no record'],
}
const SIZE = { width: 760, left: 270, right: 190, top: 64, row: 52, bar: 26 }

/** Draws results/chat.json as results/chart.svg: requests per second by target, on a scale from zero. */
export async function writeChart() {
  const { rows, machine, date } = JSON.parse(await readFile(`${RESULTS}chat.json`, 'utf8'))
  const shown = rows
    .filter(row => row.connections === CONNECTIONS && row.target in LABELS)
    .toSorted((a, b) => b.requests_per_second - a.requests_per_second)
  await writeFile(`${RESULTS}chart.svg`, svgOf(shown, `${machine.cores} cores, ${machine.cpu}, ${date.slice(0, 10)}`))
}

function svgOf(rows, where) {
  const { width, top, row } = SIZE
  const height = top + rows.length * row + 36
  const ours = rows.find(({ target }) => target === 'ipop').requests_per_second
  const most = rows[0].requests_per_second
  const description = rows.map(({ target, requests_per_second: rate }) => `${LABELS[target][0]}: ${numberText(rate)}`)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Chat requests per second at ${CONNECTIONS} connections. ${description.join(', ')}.">
<style>${STYLE}</style>
<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8" class="card"/>
<text x="16" y="28" class="title">Chat requests per second</text>
<text x="16" y="48" class="note">${CONNECTIONS} connections, medians of one run; mock upstream and load generator on the same machine</text>
${rows.map((one, place) => barOf(one, place, { ours, most })).join('\n')}
<text x="16" y="${height - 14}" class="note">${escaped(where)}</text>
</svg>
`
}

function barOf({ target, requests_per_second: rate }, place, { ours, most }) {
  const { width, left, right, top, row, bar } = SIZE
  const y = top + place * row
  const length = Math.max(2, ((width - left - right) * rate) / most)
  const [name, what] = LABELS[target]
  const isOurs = target === 'ipop'
  const times = isOurs ? '' : `<tspan class="note" dx="8">${timesText(ours / rate)}</tspan>`
  return `<text x="16" y="${y + 16}" class="name${isOurs ? ' ours' : ''}">${name}</text>
<text x="16" y="${y + 33}" class="note">${what}</text>
<rect x="${left}" y="${y + 5}" width="${length.toFixed(1)}" height="${bar}" rx="3" class="${isOurs ? 'bar ours-bar' : 'bar'}"/>
<text x="${(left + length + 8).toFixed(1)}" y="${y + 23}" class="value">${numberText(rate)}${times}</text>`
}

/** How this API compares with the target. */
const timesText = times => `IPOP does ${times >= 10 ? Math.round(times) : times.toFixed(times >= 1 ? 1 : 2)}×`

const numberText = value => Math.round(value).toLocaleString('en')
const escaped = text => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

/** The picture has its own background: a page's scheme may be another than the one that the picture is told of. */
const STYLE = `
.card { fill: #ffffff; stroke: #d1d9e0 }
text { font: 14px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
.title { font-size: 17px; font-weight: 600 } .name, .value { font-weight: 600 } .ours { fill: #0969da }
.note { font-size: 12px; font-weight: 400; fill: #59636e }
.bar { fill: #8c959f } .ours-bar { fill: #0969da }
@media (prefers-color-scheme: dark) {
  .card { fill: #0d1117; stroke: #3d444d } text { fill: #f0f6fc } .note { fill: #9198a1 }
  .bar { fill: #656c76 } .ours, .ours-bar { fill: #4493f8 }
}`
