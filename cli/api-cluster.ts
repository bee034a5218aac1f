import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../infra/config.ts'
import type { Log } from '../infra/log.ts'
import { metricsOfCluster, serveMetrics } from '../infra/metrics.ts'

const FIRST_RESTART_MS = 250
const LONGEST_RESTART_MS = 10_000
/** A process that ran this long is started again at once. */
const STEADY_MS = 10_000

export interface RunningCluster {
  port: number
  /** Lets every process stop in order. */
  stop(): Promise<void>
}

/**
 * Runs several API processes behind one port (https://nodejs.org/api/cluster.html), each this program again. One that
 * ends unasked is started again. Errors: where one ends before it listens.
 */
export async function startCluster(config: Config, log: Log): Promise<RunningCluster> {
  let isStopping = false
  const stopped = new AbortController()

  const keepRunning = async (first: Worker) => {
    let worker = first
    let pauseMs = FIRST_RESTART_MS
    for (;;) {
      const startedAtMs = Date.now()
      const [code, signal] = (await once(worker, 'exit')) as [number | null, string | null]
      if (isStopping) return
      pauseMs = Date.now() - startedAtMs > STEADY_MS ? FIRST_RESTART_MS : Math.min(pauseMs * 2, LONGEST_RESTART_MS)
      log.error({ pid: worker.process.pid, code, signal }, 'an API process ended: starting it again')
      await delay(pauseMs, undefined, { signal: stopped.signal }).catch(() => undefined)
      if (isStopping) return
      worker = cluster.fork()
    }
  }

  const workers = Array.from({ length: config.apiProcesses }, () => cluster.fork())
  const [port = config.port] = await Promise.all(workers.map(listening)).catch((error: unknown) => {
    workers.forEach(worker => worker.process.kill('SIGKILL'))
    throw error
  })
  const running = workers.map(keepRunning)
  const metrics =
    config.metricsPort === undefined
      ? undefined
      : await serveMetrics(metricsOfCluster(), config.host, config.metricsPort)
  return {
    port,
    stop: async () => {
      isStopping = true
      stopped.abort()
      Object.values(cluster.workers ?? {}).forEach(worker => worker?.process.kill('SIGTERM'))
      await Promise.all(running)
      metrics?.close()
    },
  }
}

/** Resolves with its port. */
function listening(worker: Worker): Promise<number> {
  return new Promise((resolve, reject) => {
    worker.once('listening', ({ port }) => resolve(port))
    worker.once('exit', () => reject(new Error('an API process ended before it listened')))
  })
}
