// What an open stream costs the API process while nothing comes: readers of a turn's events, and proxied chats.
import { setTimeout as delay } from 'node:timers/promises'
import { median, rounded } from '../figures.mjs'
import { openStreams, requestText } from '../idle-sockets.mjs'
import { residentMb } from '../memory.mjs'
import { apiMetric } from '../metrics.mjs'

export const title = 'Memory of idle streams'

const STREAMS = 1_000
const QUICK_STREAMS = 200
/** Code is compiled and pools are grown by then. */
const WARM_STREAMS = 50
const SETTLE_MS = 5_000
const SAMPLES = 10
const SAMPLE_EVERY_MS = 500
/** Longer than all of it; shorter than the pause after which an upstream counts as gone. */
const IDLE = JSON.stringify({ idleSeconds: 100 })

export async function run({ mockUrl, quick, log, startStack }) {
  const count = quick ? QUICK_STREAMS : STREAMS
  const rows = []
  for (const kind of [turnReaders, chatStreams]) {
    // Each on a stack of its own: what one has left would be counted with the other.
    const stack = await startStack(mockUrl)
    try {
      rows.push(await measured(stack, kind, count))
      log(`${kind.target}: ${rows.at(-1)['kB each']} kB each`)
    } finally {
      await stack.stop()
    }
  }
  const goals = rows.map((row, index) => goalOf(row, index === 0 ? 40 : 80))
  return { rows, goals }
}

const turnReaders = {
  target: 'idle reader of a turn',
  request: async stack => {
    const { request_id: id } = await startTurn(stack)
    return requestText('GET', `${stack.url}/agent-turns/${id}/events`, stack.key)
  },
}

const chatStreams = {
  target: 'idle proxied chat stream',
  request: async stack =>
    requestText('POST', `${stack.url}/chat/completions`, stack.key, idleChat(stack.model, { stream: true })),
}

const idleChat = (model, more) =>
  JSON.stringify({ model, messages: [{ role: 'user', content: IDLE }], max_completion_tokens: 10, ...more })

async function startTurn({ url, key, model }) {
  const headers = { 'x-api-key': key, 'content-type': 'application/json' }
  const reply = await fetch(`${url}/agent-turns`, { method: 'POST', headers, body: idleChat(model) })
  if (!reply.ok) throw new Error(`${reply.status} ${await reply.text()}`)
  return reply.json()
}

async function measured(stack, { target, request }, count) {
  const warm = await openStreams(stack.url, await request(stack), WARM_STREAMS)
  warm.close()
  const before = await settledMemory(stack)
  const streams = await openStreams(stack.url, await request(stack), count)
  const during = await settledMemory(stack)
  const open = streams.open()
  streams.close()
  if (open !== count) throw new Error(`${open} of ${count} streams were still open`)
  const after = await settledMemory(stack)
  const each = key => rounded(((during[key] - before[key]) * 1024) / count, 1)
  return {
    target,
    streams: count,
    'RSS before MB': rounded(before.rss),
    'with MB': rounded(during.rss),
    'after MB': rounded(after.rss),
    'kB each': each('rss'),
    'of that heap kB': each('heap'),
  }
}

/** Medians of some seconds, after a pause in which garbage goes. */
async function settledMemory(stack) {
  await delay(SETTLE_MS)
  const samples = []
  for (let sample = 0; sample < SAMPLES; sample++) {
    const heapBytes = await apiMetric(stack, 'nodejs_heap_size_used_bytes')
    samples.push({ rss: residentMb(stack.pids.api), heap: heapBytes / 2 ** 20 })
    await delay(SAMPLE_EVERY_MS)
  }
  return { rss: median(samples.map(one => one.rss)), heap: median(samples.map(one => one.heap)) }
}

const goalOf = (row, mostKb) => ({
  goal: `${row.target}: under ${mostKb} kB`,
  value: row['kB each'],
  met: row['kB each'] < mostKb,
})
