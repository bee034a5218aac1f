import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { apiClient, type ApiClient } from './client.ts'
import { spawnApi, type ApiProcess } from './api-process.ts'
import { freePort } from './free-port.ts'

/** What a time saw of an API process. */
export interface Held {
  /** The longest that its event loop was held, in ms of a processor. */
  loopMs: number
  /** How long another's cheap request took, at the median. */
  replyMs: number
}

export interface WatchedApi extends ApiProcess {
  /** Tells what others saw while something was done. */
  during(work: () => Promise<unknown>): Promise<Held>
  /** How many times slower its processor is now than that of a quiet machine; never less than 1. */
  slowness(): Promise<number>
}

const PROBE = fileURLToPath(new URL('./loop-probe.mjs', import.meta.url))
/** What the probe's known piece of work takes on a quiet machine. */
const QUIET_WORK_MS = 6
const POLL_MS = 10

/** An API process of its own, whose event loop is watched. */
export async function watchedApi(env: Record<string, string> = {}): Promise<WatchedApi> {
  const port = await freePort()
  const api = await spawnApi({ ...env, LOOP_PROBE_PORT: String(port), NODE_OPTIONS: `--import=${PROBE}` })
  const client = apiClient(undefined, api.url)
  const probe = async (path: string) =>
    (await (await fetch(`http://127.0.0.1:${port}${path}`)).json()) as { longestMs: number; workMs: number }
  return {
    ...api,
    during: async work => {
      await probe('/')
      const polling = poll(client)
      await work().finally(() => polling.stop())
      const replyMs = await polling.medianMs
      return { loopMs: (await probe('/')).longestMs, replyMs }
    },
    slowness: async () => Math.max(1, (await probe('/work')).workMs / QUIET_WORK_MS),
  }
}

function poll(client: ApiClient): { stop(): void; medianMs: Promise<number> } {
  let isOver = false
  const run = async () => {
    const taken: number[] = []
    do {
      const startedAtMs = performance.now()
      await client.get('/models/test/plain')
      taken.push(performance.now() - startedAtMs)
      await delay(POLL_MS)
    } while (!isOver)
    return taken.toSorted((a, b) => a - b)[Math.floor(taken.length / 2)] ?? 0
  }
  return { stop: () => (isOver = true), medianMs: run() }
}
