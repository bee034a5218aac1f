import cluster, { type Worker } from 'node:cluster'
import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../infra/config.ts'
import type { Log } from '../infra/log.ts'
import { metricsOfCluster, serveMetrics } from '../infra/metrics.ts'

const FIRST_RESTART_MS = 250
const LONGEST_RESTART_MS = 10_000
/** A process that ran this long is started again after the shortest pause. */
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

  const keepRunning = async (first: ApiProcess) => {
    let { ended } = first
    let pauseMs = FIRST_RESTART_MS
    for (;;) {
      const startedAtMs = Date.now()
      const why = await ended
      if (isStopping) return
      pauseMs = Date.now() - startedAtMs > STEADY_MS ? FIRST_RESTART_MS : Math.min(pauseMs * 2, LONGEST_RESTART_MS)
      log.error({ why }, 'an API process ended: starting it again')
      await delay(pauseMs, undefined, { signal: stopped.signal }).catch(() => undefined)
      if (isStopping) return
      ended = startAgain(log)
    }
  }

  const processes = Array.from({ length: config.apiProcesses }, () => startProcess(log))
  const [port = config.port] = await Promise.all(processes.map(listening)).catch((error: unknown) => {
    processes.forEach(({ worker }) => worker.process.kill('SIGKILL'))
    throw error
  })
  const running = processes.map(keepRunning)
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

interface ApiProcess {
  worker: Worker
  /** Why it ended; taken from its start on, so that no end is missed. Never rejects. */
  ended: Promise<string>
}

function startProcess(log: Log): ApiProcess {
  const worker = cluster.fork()
  const ended = new Promise<string>(resolve => {
    worker.once('exit', (code, signal) => resolve(signal ?? `code ${code}`))
    worker.on('error', error => {
      // Else it is of a message to a process that has just gone, whose exit follows.
      if (worker.process.pid === undefined) resolve(error.message)
      else log.warn({ pid: worker.process.pid, err: error }, 'an API process could not be told something')
    })
  })
  return { worker, ended }
}

/** The end of a new process, which may be that there is no memory for one. */
function startAgain(log: Log): Promise<string> {
  try {
    return startProcess(log).ended
  } catch (error) {
    return Promise.resolve(String(error))
  }
}

/** Resolves with its port. */
function listening({ worker, ended }: ApiProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    worker.once('listening', ({ port }) => resolve(port))
    void ended.then(why => reject(new Error(`an API process ended before it listened: ${why}`)))
  })
}
