import cluster from 'node:cluster'
import { ConfigError, readConfig, type Config } from '../infra/config.ts'
import type { SandboxOptions } from '../sandbox/server.ts'
import { createLog, type Log } from '../infra/log.ts'
import { announceReady, boundHeap, stopOnSignal } from '../infra/process.ts'
import { startCluster, type RunningCluster } from './api-cluster.ts'

/** How long requests under way may take to end when the process is told to stop. */
const API_GRACE_MS = 5_000
const PROCESS_GRACE_MS = 6_500
const CLUSTER_GRACE_MS = 6_800

/** Runs the API, in one process or several, until it is told to stop. */
export async function runApi(env: NodeJS.ProcessEnv): Promise<void> {
  const { config, log } = processOf('api', env)
  const isFirstOfSeveral = config.apiProcesses > 1 && cluster.isPrimary
  const api = isFirstOfSeveral ? await startCluster(config, log) : await startApiProcess(config, log)
  log.info({ host: config.host, port: api.port }, 'the API listens')
  stopOnSignal({ log, stop: () => api.stop(), graceMs: isFirstOfSeveral ? CLUSTER_GRACE_MS : PROCESS_GRACE_MS })
  announceReady({ port: api.port })
}

async function startApiProcess(config: Config, log: Log): Promise<RunningCluster> {
  // Node would end a process of a cluster at once when its first one is gone; `stopOnSignal` ends it in order.
  if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true
  const { startApi } = await import('../api/server.ts')
  const api = await startApi(config, log)
  boundHeap()
  return { port: api.port, stop: () => api.stop(API_GRACE_MS) }
}

/** Runs a worker process of these roles until it is told to stop, or rejects where it fails. */
export async function runWorkerOf(names: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const { ROLES } = await import('../workers/queues.ts')
  const roles = names.map(name => {
    const role = ROLES.find(known => known === name)
    if (role === undefined)
      throw new ConfigError(`There is no worker "${name}": it is ${ROLES.slice(0, -1).join(', ')} or ${ROLES.at(-1)}.`)
    return role
  })
  const { config, log } = processOf(`worker-${roles.join('-')}`, env)
  const { startWorker } = await import('../workers/worker.ts')
  const worker = await startWorker([...new Set(roles)], config, log)
  log.info({ roles }, 'the worker runs')
  stopOnSignal({ log, stop: () => worker.stop(), graceMs: PROCESS_GRACE_MS })
  announceReady({ roles })
  await worker.ended
}

/** Runs the sandbox model until it is told to stop. */
export async function runSandboxModel(options: SandboxOptions, env: NodeJS.ProcessEnv): Promise<void> {
  const { config, log } = processOf('sandbox', env)
  const { runSandbox } = await import('../sandbox/server.ts')
  const { loadCatalog } = await import('../domain/inference/catalog/catalog.ts')
  const modelIds = loadCatalog(config).entries.map(entry => entry.id)
  const sandbox = await runSandbox({ modelIds, ...options })
  log.info({ url: sandbox.url }, 'the sandbox model listens')
  stopOnSignal({ log, stop: () => sandbox.close(), graceMs: PROCESS_GRACE_MS })
  announceReady({ url: sandbox.url })
}

function processOf(service: string, env: NodeJS.ProcessEnv): { config: Config; log: Log } {
  const config = readConfig(env)
  return { config, log: createLog(service, config.logLevel) }
}
