import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../../../infra/log.ts'
import type { Database } from '../../../infra/postgres/database.ts'
import type { Listener } from '../../../infra/postgres/listener.ts'

/** Payload: `<model id> <milliseconds>`. */
export const MODEL_PAUSES = 'ipop_model_pauses'

const LONGEST_PAUSE_MS = 5 * 60_000

/**
 * Models that said they are at their limit. Background work of every process waits until a pause is over, so that
 * what the upstream still takes is left to interactive calls, which never wait here.
 */
export interface Pauses {
  /** Tells every process. */
  pause(modelId: string, seconds: number): void
  isPaused(modelId: string): boolean
  /** Resolves when the model is not paused. Rejects where the signal aborts first. */
  wait(modelId: string, signal: AbortSignal): Promise<void>
}

export function createPauses(deps: { db: Database; listener: Listener; log: Log }): Pauses {
  const untilMs = new Map<string, number>()
  const note = (modelId: string, ms: number) => {
    const end = Date.now() + Math.min(ms, LONGEST_PAUSE_MS)
    untilMs.set(modelId, Math.max(untilMs.get(modelId) ?? 0, end))
  }
  deps.listener.on(MODEL_PAUSES, payload => {
    const [modelId = '', ms = '0'] = payload.split(' ')
    note(modelId, Number(ms))
  })
  return {
    pause: (modelId, seconds) => {
      note(modelId, seconds * 1000)
      deps.db
        .query('SELECT pg_notify($1::text, $2::text)', [MODEL_PAUSES, `${modelId} ${seconds * 1000}`])
        .catch((error: unknown) =>
          deps.log.warn({ err: error, model: modelId }, 'the pause of a model could not be told'),
        )
    },
    isPaused: modelId => (untilMs.get(modelId) ?? 0) > Date.now(),
    wait: async (modelId, signal) => {
      for (let end = untilMs.get(modelId); end !== undefined; end = untilMs.get(modelId)) {
        const leftMs = end - Date.now()
        if (leftMs <= 0) untilMs.delete(modelId)
        else await delay(leftMs, undefined, { signal })
      }
    },
  }
}
