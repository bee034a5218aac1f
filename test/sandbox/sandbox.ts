import OpenAI from 'openai'
import { runSandbox, type RunningSandbox } from '../../sandbox/server.ts'

export interface TestSandbox extends RunningSandbox {
  client: OpenAI
  post(path: string, body: unknown): Promise<Response>
}

/** A sandbox without delays on a free port, and the official client for it. */
export async function startTestSandbox(
  speed: { wordDelayMs?: number; replyDelayMs?: number } = {},
): Promise<TestSandbox> {
  const sandbox = await runSandbox({ host: '127.0.0.1', port: 0, wordDelayMs: 0, replyDelayMs: 0, ...speed })
  const client = new OpenAI({ baseURL: sandbox.url, apiKey: 'any', maxRetries: 0 })
  const headers = { 'content-type': 'application/json' }
  const post = (path: string, body: unknown): Promise<Response> =>
    fetch(sandbox.url + path, { method: 'POST', headers, body: typeof body === 'string' ? body : JSON.stringify(body) })
  return { ...sandbox, client, post }
}
