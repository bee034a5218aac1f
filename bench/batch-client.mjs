import { setTimeout as delay } from 'node:timers/promises'

const POLL_EVERY_MS = 100
const ENDED = ['completed', 'failed', 'expired', 'cancelled']

/** The lines of a batch's input file: chats that differ, as OpenAI's clients write them. */
export const batchLines = (model, count, content) =>
  Array.from({ length: count }, (_, index) =>
    JSON.stringify({
      custom_id: `row-${index}`,
      method: 'POST',
      url: '/v1/chat/completions',
      body: {
        model,
        messages: [
          { role: 'system', content: `Row ${index}.` },
          { role: 'user', content },
        ],
      },
    }),
  )

/**
 * Runs a batch as its clients do: upload, create, poll, read the output. Seconds of the whole of it, and of the rows
 * alone by the batch's own times.
 */
export async function runBatch({ url, key }, lines) {
  const startedMs = performance.now()
  const fileId = await upload(url, key, lines)
  const headers = { 'x-api-key': key, 'content-type': 'application/json' }
  const request = { input_file_id: fileId, endpoint: '/v1/chat/completions', completion_window: '24h' }
  const made = await json(`${url}/batches`, { method: 'POST', headers, body: JSON.stringify(request) })
  const batch = await untilEnded(`${url}/batches/${made.id}?rows_limit=1`, headers)
  const output = await (await fetch(`${url}/files/${batch.output_file_id}/content`, { headers })).text()
  const wholeSeconds = (performance.now() - startedMs) / 1000
  requireAnswers(output, lines.length, batch)
  return { wholeSeconds, rowSeconds: (new Date(batch.completed_at) - new Date(batch.started_at)) / 1000 }
}

async function upload(url, key, lines) {
  const form = new FormData()
  form.set('purpose', 'batch')
  form.set('file', new File([lines.join('\n')], 'rows.jsonl'))
  return (await json(`${url}/files`, { method: 'POST', headers: { 'x-api-key': key }, body: form })).id
}

async function untilEnded(address, headers) {
  for (;;) {
    const batch = await json(address, { headers })
    if (ENDED.includes(batch.status)) return batch
    await delay(POLL_EVERY_MS)
  }
}

function requireAnswers(output, count, batch) {
  const answered = output.split('\n').filter(line => line.includes('"completion_tokens"')).length
  if (answered !== count) throw new Error(`${answered} of ${count} rows were answered: ${JSON.stringify(batch)}`)
}

async function json(address, init) {
  const reply = await fetch(address, init)
  const text = await reply.text()
  if (!reply.ok) throw new Error(`${address}: ${reply.status} ${text.slice(0, 300)}`)
  return JSON.parse(text)
}
