import { setTimeout as delay } from 'node:timers/promises'
import type { BatchDetail } from '../../domain/work/batches/batch.schema.ts'
import type { ApiClient } from './client.ts'
import { HANGS_AFTER_MS } from './until.ts'

const POLL_EVERY_MS = 200
const TERMINAL = ['completed', 'failed', 'expired', 'cancelled']

/** A batch row in OpenAI's form. */
export const chatRow = (customId: string, content: string, body: object = {}): object => ({
  custom_id: customId,
  method: 'POST',
  url: '/v1/chat/completions',
  body: { model: 'test/plain', messages: [{ role: 'user', content }], ...body },
})

/** Uploads the rows and creates a batch of them; gives its id. */
export async function startBatch(api: ApiClient, rows: string | object[], request: object = {}): Promise<string> {
  const fileId = await api.upload(rows)
  const reply = await api.post('/batches', { input_file_id: fileId, ...request })
  if (reply.status !== 200) throw new Error(`the batch was refused: ${reply.text}`)
  return reply.body.id as string
}

/** Polls the batch, as clients do, until it is as wanted. */
export async function untilBatch(
  api: ApiClient,
  batchId: string,
  wanted: (batch: BatchDetail) => boolean,
  withinMs = HANGS_AFTER_MS,
): Promise<BatchDetail> {
  const giveUpAtMs = Date.now() + withinMs
  for (;;) {
    const { body, text, status } = await api.get<BatchDetail>(`/batches/${batchId}?rows_limit=1`)
    if (status === 200 && wanted(body)) return body
    if (Date.now() > giveUpAtMs) throw new Error(`the batch did not get there in ${withinMs} ms: ${text.slice(0, 600)}`)
    await delay(POLL_EVERY_MS)
  }
}

export const untilEnded = (api: ApiClient, batchId: string, withinMs?: number): Promise<BatchDetail> =>
  untilBatch(api, batchId, batch => TERMINAL.includes(batch.status), withinMs)

/** The lines of a file of a batch; none where there is no such file. */
export async function linesOfFile(api: ApiClient, fileId: string | null | undefined): Promise<any[]> {
  if (fileId === null || fileId === undefined) return []
  const { text } = await api.get(`/files/${fileId}/content`)
  return text
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line) as unknown)
}
