// How late a delta of the upstream reaches the reader of a durable turn, beside a plain proxy of the same stream; how
// long a turn takes to its first delta; and whether one API process holds 2,000 readers, 200 turns of which run.
//   npm run bench:turns
import { createServer, request as httpRequest } from 'node:http'
import { mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { latenesses, nowMs, startMockUpstream } from './mock-upstream.mjs'
import { usageOf } from './processes.mjs'
import { startStack } from './stack.mjs'

const AT_ONCE = 8
const ROUNDS = 3
const ALONE = 20
const SHAPE = { deltas: 100, everyMs: 20 }
const SHORT = { deltas: 5, everyMs: 20 }
const LONG = { deltas: 600, everyMs: 100 }
const READERS = 2_000
const LIVE_TURNS = 200

const quantile = (values, share) => values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)] ?? NaN
const figures = values => ({ p50: quantile(values, 0.5), p99: quantile(values, 0.99), max: quantile(values, 1) })
const rounded = value => Math.round(value * 10) / 10
const bodyOf = (model, shape) =>
  JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: JSON.stringify(shape) }] })

/** Passes everything through, and does nothing else. */
async function startProxy(upstreamUrl) {
  const target = new URL(upstreamUrl)
  const server = createServer((request, response) => {
    const onward = httpRequest(
      { host: target.hostname, port: target.port, path: request.url, method: request.method, headers: request.headers },
      reply => reply.pipe(response.writeHead(reply.statusCode ?? 502, reply.headers)),
    )
    request.pipe(onward)
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${server.address().port}/v1`, close: () => server.close() }
}

/** Reads a stream to its end; tells how late each delta was, and when the first of them came. */
async function readStream(url, init) {
  const startedMs = nowMs()
  const reply = await fetch(url, init)
  if (!reply.ok) throw new Error(`${reply.status} ${await reply.text()}`)
  const late = []
  let firstMs
  let text = ''
  const decoder = new TextDecoder()
  for await (const bytes of reply.body) {
    const part = decoder.decode(bytes, { stream: true })
    text += part
    const whole = text.lastIndexOf('\n\n')
    if (whole === -1) continue
    const found = latenesses(text.slice(0, whole))
    text = text.slice(whole)
    if (found.length > 0) firstMs ??= nowMs() - startedMs
    late.push(...found)
  }
  return { late, firstMs, text }
}

const post = (key, body, more = {}) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', 'x-api-key': key, ...more },
  body,
})

async function round(read) {
  const streams = await Promise.all(Array.from({ length: AT_ONCE }, () => read(SHAPE)))
  for (const { late } of streams) if (late.length !== SHAPE.deltas) throw new Error(`${late.length} deltas came`)
  return { late: streams.flatMap(one => one.late), first: streams.map(one => one.firstMs) }
}

async function compared(stack, proxy) {
  const targets = {
    'plain proxy': shape => readStream(`${proxy.url}/chat/completions`, post('none', bodyOf('bench', shape))),
    'chat, streamed': shape => readStream(`${stack.url}/chat/completions`, post(stack.key, bodyOf(stack.model, shape))),
    'agent turn': shape =>
      readStream(
        `${stack.url}/agent-turns`,
        post(stack.key, bodyOf(stack.model, shape), { accept: 'text/event-stream' }),
      ),
  }
  const seen = Object.fromEntries(Object.keys(targets).map(name => [name, { late: [], first: [], p50s: [] }]))
  // One round of each to warm up, then rounds in turn.
  for (let count = -1; count < ROUNDS; count++) {
    for (const [name, read] of Object.entries(targets)) {
      const { late, first } = await round(read)
      if (count < 0) continue
      seen[name].late.push(...late)
      seen[name].first.push(...first)
      seen[name].p50s.push(quantile(late, 0.5))
    }
  }
  for (const [name, read] of Object.entries(targets)) {
    seen[name].alone = []
    for (let count = 0; count < ALONE; count++) seen[name].alone.push((await read(SHORT)).firstMs)
  }
  return seen
}

const memoryOfApi = stack => usageOf(stack.pids.api).rssBytes / 2 ** 20

/** Asks again where it was too much at once, as clients do. */
async function startTurn(stack) {
  for (;;) {
    const reply = await fetch(`${stack.url}/agent-turns`, post(stack.key, bodyOf(stack.model, LONG)))
    if (reply.ok) return (await reply.json()).request_id
    if (reply.status !== 503) throw new Error(`${reply.status} ${await reply.text()}`)
    await new Promise(resolve => setTimeout(resolve, 1_000))
  }
}

async function crowd(stack) {
  const before = memoryOfApi(stack)
  const turns = await Promise.all(Array.from({ length: LIVE_TURNS }, () => startTurn(stack)))
  let most = 0
  const watch = setInterval(() => (most = Math.max(most, memoryOfApi(stack))), 1_000)
  const ends = await Promise.all(
    Array.from({ length: READERS }, async (_, index) => {
      const url = `${stack.url}/agent-turns/${turns[index % turns.length]}/events`
      const reply = await fetch(url, { headers: { 'x-api-key': stack.key } })
      const text = await reply.text()
      const ids = [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))
      const isWhole = ids.every((id, place) => id === place + 1)
      return isWhole && /event: turn\.completed/.test(text) && latenesses(text).length === LONG.deltas
    }),
  )
  clearInterval(watch)
  return { readers: READERS, live_turns: LIVE_TURNS, whole: ends.filter(Boolean).length, rss_mb: { before, most } }
}

const upstream = await startMockUpstream()
const proxy = await startProxy(upstream.url)
const stack = await startStack(upstream.url)
try {
  const seen = await compared(stack, proxy)
  const rows = Object.entries(seen).map(([name, { late, first, alone, p50s }]) => ({
    target: name,
    'delta p50 ms': rounded(figures(late).p50),
    'delta p99 ms': rounded(figures(late).p99),
    [`first delta p50 ms, ${AT_ONCE} at once`]: rounded(quantile(first, 0.5)),
    'one at a time': rounded(quantile(alone, 0.5)),
    'p50 by round': p50s.map(rounded).join(' / '),
  }))
  console.table(rows)
  const held = await crowd(stack)
  console.log(
    `${held.whole} of ${held.readers} readers of ${held.live_turns} live turns saw every event once and the end; ` +
      `the API process grew from ${Math.round(held.rss_mb.before)} to ${Math.round(held.rss_mb.most)} MB.`,
  )
  const folder = fileURLToPath(new URL('./results/', import.meta.url))
  await mkdir(folder, { recursive: true })
  await writeFile(`${folder}turns.json`, `${JSON.stringify({ shape: SHAPE, at_once: AT_ONCE, rows, held }, null, 2)}\n`)
} finally {
  await stack.stop()
  proxy.close()
  upstream.close()
}
