/**
 * The pauses that make the sandbox as slow as a model. A pause ends early when the client has gone or the server
 * closes: then replies are finished at once instead of being cut.
 */
export class Pace {
  readonly #running = new Set<() => void>()
  #isHurried = false

  /** Resolves after `ms`, or as soon as `gone` is aborted or the pace hurried; never rejects. */
  pause(ms: number, disconnected: AbortSignal): Promise<void> {
    if (ms <= 0 || this.#isHurried || disconnected.aborted) return Promise.resolve()
    return new Promise(resolve => {
      const end = (): void => {
        clearTimeout(timer)
        disconnected.removeEventListener('abort', end)
        this.#running.delete(end)
        resolve()
      }
      const timer = setTimeout(end, ms)
      disconnected.addEventListener('abort', end)
      this.#running.add(end)
    })
  }

  /** Ends all pauses, now and later. */
  hurry(): void {
    this.#isHurried = true
    for (const end of this.#running) end()
  }
}
