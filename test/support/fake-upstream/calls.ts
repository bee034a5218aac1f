import { EventEmitter, once } from 'node:events'
import type { IncomingHttpHeaders } from 'node:http'
import type { UpstreamBody } from './script.ts'

/** One call as the upstream saw it. */
export interface FakeCall {
  /** Unix time in ms. */
  at: number
  endedAt: number | null
  path: string
  model: string
  body: UpstreamBody & Record<string, unknown>
  /** Without `authorization`; whether there was one is `hadKey`. */
  headers: IncomingHttpHeaders
  hadKey: boolean
  /** The client went away before the reply was complete. */
  aborted: boolean
  /** The reply was sent in full. */
  completed: boolean
  /** On the wire, headers included. */
  bytesSent: number
}

export interface FakeStats {
  calls: number
  active: number
  maxActive: number
  completed: number
  aborted: number
  bytesSent: number
}

/** What has been called, per id or group, and in sum. */
export class CallRecords {
  readonly #released = new Set<string>()
  readonly #byKey = new Map<string, { calls: FakeCall[]; stats: FakeStats }>()
  readonly #changes = new EventEmitter().setMaxListeners(0)

  start(keys: readonly string[], call: FakeCall): void {
    for (const key of keys) {
      const record = this.#record(key)
      if (key !== ALL) record.calls.push(call)
      record.stats.calls += 1
      record.stats.active += 1
      record.stats.maxActive = Math.max(record.stats.maxActive, record.stats.active)
      this.#changes.emit(changeOf(key))
    }
  }

  end(keys: readonly string[], call: FakeCall): void {
    for (const key of keys) {
      const { stats } = this.#record(key)
      stats.active -= 1
      stats.completed += call.completed ? 1 : 0
      stats.aborted += call.aborted ? 1 : 0
      stats.bytesSent += call.bytesSent
      this.#changes.emit(changeOf(key))
    }
  }

  calls(key: string): readonly FakeCall[] {
    return this.#byKey.get(key)?.calls ?? []
  }

  stats(key: string = ALL): FakeStats {
    return this.#byKey.get(key)?.stats ?? emptyStats()
  }

  /** Waits until the key's records are so; false if `deadline` comes first. */
  async until(key: string, isSo: () => boolean, deadline: AbortSignal): Promise<boolean> {
    while (!isSo()) {
      if (deadline.aborted) return false
      await once(this.#changes, changeOf(key), { signal: deadline }).catch((error: unknown) => {
        if (!deadline.aborted) throw error
      })
    }
    return true
  }

  /** Lets the calls of the key go on that are held, and those to come. */
  release(key: string): { released: string } {
    this.#released.add(key)
    this.#changes.emit(changeOf(key))
    return { released: key }
  }

  /** Waits for the release of the key's calls; false if `gone` comes first. */
  released(key: string, gone: AbortSignal): Promise<boolean> {
    return this.until(key, () => this.#released.has(key), gone)
  }

  #record(key: string): { calls: FakeCall[]; stats: FakeStats } {
    const known = this.#byKey.get(key)
    if (known) return known
    const record = { calls: [], stats: emptyStats() }
    this.#byKey.set(key, record)
    return record
  }
}

/** The key under which every call is counted (and none is kept). */
export const ALL = '*'

/** Not the key itself: an emitter treats an event named `error` in its own way. */
function changeOf(key: string): string {
  return `changed ${key}`
}

function emptyStats(): FakeStats {
  return { calls: 0, active: 0, maxActive: 0, completed: 0, aborted: 0, bytesSent: 0 }
}
