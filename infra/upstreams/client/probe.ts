import type { Dispatcher } from 'undici'
import { linkedAbort } from '../../abort.ts'
import { bytesOf, sendRequest, type ReplyBody } from '../exchange.ts'
import { failureOfThrown } from '../failures.ts'
import { UpstreamFailure, type UpstreamSettings } from '../upstream.ts'
import type { Wire } from '../wire.ts'

const TIMEOUT_MS = 15_000
/** Enough for an error's code. */
const READ_LIMIT_BYTES = 64 * 1024

/** `GET /models`, which all providers have, needs a key and costs nothing. Errors: UpstreamFailure. */
export async function probe(
  dispatcher: Dispatcher,
  upstream: UpstreamSettings,
  wire: Wire,
  signal: AbortSignal,
): Promise<void> {
  const within = linkedAbort(signal, TIMEOUT_MS)
  try {
    const { origin, pathname } = new URL(`${upstream.baseUrl}/models`)
    const request = { origin, path: pathname, method: 'GET' as const, headers: wire.keyHeaders(upstream) }
    const reply = await sendRequest(dispatcher, request, within.signal)
    const text = await firstText(reply.body)
    if (reply.status !== 200) throw wire.failureOf(reply.status, reply.headers, text)
  } catch (error) {
    if (within.isLate) throw new UpstreamFailure('timeout', 'the upstream did not answer in time')
    throw failureOfThrown(error, signal)
  } finally {
    within.release()
  }
}

async function firstText(body: ReplyBody): Promise<string> {
  const parts: Buffer[] = []
  let sizeBytes = 0
  for await (const part of bytesOf(body)) {
    parts.push(part)
    sizeBytes += part.length
    if (sizeBytes >= READ_LIMIT_BYTES) break
  }
  return Buffer.concat(parts).toString('utf8')
}
