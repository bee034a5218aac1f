/** A signal that aborts with its parent, by itself, or when its time is over; until it is released. */
export interface LinkedAbort {
  readonly signal: AbortSignal
  /** Whether its time was over before anything else aborted it. */
  readonly isLate: boolean
  abort(reason: unknown): void
  /** Afterwards, and once it has aborted, neither its parent nor a timer holds anything of it. */
  release(): void
}

/**
 * Links a signal to a parent that may outlive it by far, such as a connection's. `AbortSignal.any` is for signals that
 * end together: a parent keeps something of each that was made of it (nodejs/node#54614).
 */
export function linkedAbort(parent: AbortSignal, withinMs?: number): LinkedAbort {
  const controller = new AbortController()
  let isLate = false
  const release = () => {
    clearTimeout(timer)
    parent.removeEventListener('abort', onParent)
  }
  const abort = (reason: unknown) => {
    release()
    controller.abort(reason)
  }
  const onParent = () => abort(parent.reason)
  const onTime = () => {
    isLate = true
    abort(new Error('it took too long'))
  }
  const timer = withinMs === undefined ? undefined : setTimeout(onTime, withinMs)
  if (parent.aborted) onParent()
  else parent.addEventListener('abort', onParent)
  return {
    signal: controller.signal,
    get isLate() {
      return isLate
    },
    abort,
    release,
  }
}

/** A signal that aborts with its parent where that has such a reason; until it is released. */
export function abortWhere(
  parent: AbortSignal,
  passes: (reason: unknown) => boolean,
): Pick<LinkedAbort, 'signal' | 'release'> {
  const controller = new AbortController()
  const release = () => parent.removeEventListener('abort', onParent)
  const onParent = () => {
    release()
    if (passes(parent.reason)) controller.abort(parent.reason)
  }
  if (parent.aborted) onParent()
  else parent.addEventListener('abort', onParent)
  return { signal: controller.signal, release }
}
