import type { Listener } from '../../../infra/postgres/listener.ts'
import { JOB_CANCELS } from './jobs.sql.ts'

export interface WatchedCancel {
  signal: AbortSignal
  close(): void
}

/** Aborts the steps of a job in this process as soon as its cancel is committed, ahead of Temporal's own word. */
export interface CancelSignals {
  watch(resourceId: string): WatchedCancel
}

export function createCancelSignals(listener: Listener): CancelSignals {
  const watched = new Map<string, Set<AbortController>>()
  listener.on(JOB_CANCELS, resourceId => {
    watched.get(resourceId)?.forEach(controller => controller.abort(new Error('the job was cancelled')))
  })
  return {
    watch: resourceId => {
      const controller = new AbortController()
      const controllers = watched.get(resourceId) ?? new Set()
      watched.set(resourceId, controllers.add(controller))
      return {
        signal: controller.signal,
        close: () => {
          controllers.delete(controller)
          if (controllers.size === 0) watched.delete(resourceId)
        },
      }
    },
  }
}
