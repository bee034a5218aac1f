import { setTimeout as delay } from 'node:timers/promises'
import type { BatchDetail } from '../../domain/work/batches/batch.schema.ts'
import type { FileObject } from '../../domain/work/files/file.schema.ts'

/** The public API as any program would use it. Errors: Error with a sentence. */
export interface DemoClient {
  upload(content: Buffer, filename: string): Promise<FileObject>
  createBatch(inputFileId: string): Promise<BatchDetail>
  getBatch(batchId: string): Promise<BatchDetail>
  download(fileId: string): Promise<string>
}

const CALL_TIMEOUT_MS = 30_000
const RETRY_FOR_MS = 30_000
const RETRY_AFTER_MS = 1_000

export function createDemoClient(apiUrl: string, apiKey: string): DemoClient {
  const call = async (method: string, path: string, body?: Buffer | object): Promise<Response> => {
    const raw = Buffer.isBuffer(body)
    const response = await fetch(`${apiUrl.replace(/\/v1\/?$/, '')}/v1${path}`, {
      method,
      headers: { 'x-api-key': apiKey, 'content-type': raw ? 'application/octet-stream' : 'application/json' },
      ...(body === undefined ? {} : { body: raw ? new Uint8Array(body) : JSON.stringify(body) }),
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
    })
    if (!response.ok)
      throw new ApiRefusal(`${method} /v1${path} answered ${response.status}: ${await refusalOf(response)}`)
    return response
  }

  return {
    upload: async (content, filename) =>
      (await (
        await call('POST', `/files?purpose=batch&filename=${encodeURIComponent(filename)}`, content)
      ).json()) as FileObject,
    createBatch: async inputFileId => {
      const request = { input_file_id: inputFileId, endpoint: 'chat_completions', completion_window: '1h' }
      return (await (await call('POST', '/batches', request)).json()) as BatchDetail
    },
    getBatch: batchId =>
      withRetries(async () => (await (await call('GET', `/batches/${batchId}`)).json()) as BatchDetail),
    download: async fileId => (await call('GET', `/files/${fileId}/content`)).text(),
  }
}

class ApiRefusal extends Error {
  override name = 'ApiRefusal'
}

async function refusalOf(response: Response): Promise<string> {
  const text = await response.text()
  try {
    const { message, error } = JSON.parse(text) as { message?: string; error?: string }
    return message ?? error ?? text
  } catch {
    return text.slice(0, 200)
  }
}

/** The job goes on while the API is away for a moment, and so does its watcher. */
async function withRetries<T>(work: () => Promise<T>): Promise<T> {
  const giveUpAtMs = Date.now() + RETRY_FOR_MS
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (error instanceof ApiRefusal || Date.now() > giveUpAtMs) throw error
      await delay(RETRY_AFTER_MS)
    }
  }
}
