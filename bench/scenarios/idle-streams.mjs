// What an open stream costs the API process while nothing comes: readers of a turn's events, and proxied chats.
import { setTimeout as delay } from 'node:timers/promises'
import { goal, median, megabytes, rounded } from '../figures.mjs'
import { openStreams, requestText } from '../idle-sockets.mjs'
import { apiMetric } from '../metrics.mjs'
import { usageOf } from '../processes.mjs'

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
      const row = await measured(stack, kind, count)
      log(`${kind.target}: ${row.kb_each} kB each`)
      rows.push(row)
    } finally {
      await stack.stop()
    }
  }
  const [reader, chat] = rows
  return {
    rows,
    goals: [
      goal('kB of an idle reader of a turn: under 40', reader.kb_each, { below: 40 }),
      goal('kB of an idle proxied chat stream: under 80', chat.kb_each, { below: 80 }),
    ],
  }
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
  const each = key => rounded((during[key] - before[key]) / 1024 / count)
  return {
    target,
    streams: count,
    mb_before: megabytes(before.rss),
    mb_with: megabytes(during.rss),
    mb_after: megabytes(after.rss),
    kb_each: each('rss'),
    heap_kb_each: each('heap'),
  }
}

/** Bytes: medians of some seconds, after a pause in which garbage goes. */
async function settledMemory(stack) {
  await delay(SETTLE_MS)
  const samples = []
  for (let sample = 0; sample < SAMPLES; sample++) {
    const heap = await apiMetric(stack, 'nodejs_heap_size_used_bytes')
    samples.push({ rss: usageOf(stack.pids.api).rssBytes, heap })
    await delay(SAMPLE_EVERY_MS)
  }
  return { rss: median(samples.map(one => one.rss)), heap: median(samples.map(one => one.heap)) }
}
