import { fileURLToPath } from 'node:url'
import { Runtime, Worker, type NativeConnection, type WorkerOptions } from '@temporalio/worker'
import { loadCatalog } from '../domain/inference/catalog/catalog.ts'
import { createFairGate } from '../infra/fair-gate.ts'
import { createRowCommit } from '../domain/work/batches/row-commit.ts'
import { createCredentialsOf } from '../domain/inference/provider-credentials/credential-cache.ts'
import { credentialRoutes } from '../domain/inference/provider-credentials/credential-routes.ts'
import { CREDENTIAL_CHANGES } from '../domain/inference/provider-credentials/credential.sql.ts'
import { createCredentialUse } from '../domain/inference/provider-credentials/credential-use.ts'
import { createCancelSignals } from '../domain/durable/jobs/cancel-signals.ts'
import { EVENTS } from '../domain/durable/outbox/events.sql.ts'
import { JOB_CANCELS, JOB_COMMANDS, JOB_SLOTS } from '../domain/durable/jobs/jobs.sql.ts'
import { newRouteExperience } from '../domain/inference/provider-routes/routing.service.ts'
import { createPauses, MODEL_PAUSES } from '../domain/inference/provider-routes/pauses.ts'
import { largeJson, openThreadWork } from '../domain/inference/threads/thread-work.ts'
import { createSecretBox } from '../infra/crypto/sealing.ts'
import { requireDatabaseUrl, requireSecretsKeys, type Config } from '../infra/config.ts'
import type { Log } from '../infra/log.ts'
import { createMetrics, serveMetrics } from '../infra/metrics.ts'
import { openObjectStore } from '../infra/objects/open.ts'
import { createOutbound } from '../infra/outbound/outbound.ts'
import { openDatabase } from '../infra/postgres/database.ts'
import { openListener } from '../infra/postgres/listener.ts'
import { createUpstreamClient } from '../infra/upstreams/client/client.ts'
import type { BatchActivityDeps } from '../activities/work/batches.ts'
import type { TurnActivityDeps } from '../activities/work/turns.ts'
import { settleResponse } from '../domain/work/background-responses/background.ts'
import { createEventAppends } from '../domain/durable/event-log/event-log.writer.ts'

/** Model calls that one worker process has under way for batches. */
const ROWS_AT_ONCE = 64

const CHANNELS = [EVENTS, JOB_CANCELS, JOB_COMMANDS, JOB_SLOTS, MODEL_PAUSES, CREDENTIAL_CHANGES]

/** Everything a worker process works with. */
export async function openWorkerDeps(config: Config, log: Log, name: string) {
  const databaseUrl = requireDatabaseUrl(config)
  const secrets = createSecretBox(requireSecretsKeys(config))
  const db = openDatabase({
    url: databaseUrl,
    poolSize: config.database.poolSize,
    applicationName: `ipop-worker-${name}`,
  })
  const listener = await openListener(databaseUrl, CHANNELS, log)
  const credentialsOf = createCredentialsOf({ db, listener, secrets, log })
  const metrics = createMetrics(`worker-${name}`)
  const outbound = createOutbound(config.outbound)
  const threadWork = openThreadWork()
  const upstreams = createUpstreamClient(config.upstreams, outbound, largeJson(threadWork))
  const metricsServer =
    config.metricsPort === undefined ? undefined : await serveMetrics(metrics.registry, config.host, config.metricsPort)
  const deps: BatchActivityDeps & TurnActivityDeps = {
    db,
    objects: openObjectStore(config),
    catalog: loadCatalog(config),
    upstreams,
    ...newRouteExperience(),
    ownRoutes: (owner, model) => credentialRoutes({ credentialsOf }, owner, model),
    credentialUse: createCredentialUse({ db, log }),
    threadWork,
    pauses: createPauses({ db, listener, log }),
    gate: createFairGate(ROWS_AT_ONCE),
    commitRow: createRowCommit({ db, metrics }),
    cancels: createCancelSignals(listener),
    appendEvents: createEventAppends(db),
    turnSettled: settleResponse,
    metrics,
    log,
  }
  const close = async () => {
    metricsServer?.close()
    await threadWork.stop()
    await upstreams.close()
    await outbound.close()
    await listener.close()
    await db.close()
  }
  return { ...deps, listener, close }
}

export type WorkerDeps = Awaited<ReturnType<typeof openWorkerDeps>>

const BUNDLE = fileURLToPath(new URL('../workflows/bundle.js', import.meta.url))

/** The bundle that the build made: what makes one is no part of a running worker. */
export const workflowCode = (): Pick<WorkerOptions, 'workflowBundle'> => ({ workflowBundle: { codePath: BUNDLE } })

/** Versioned where a build id is set: jobs stay with the build that started them. */
function versioning(config: Config): Partial<WorkerOptions> {
  const buildId = config.temporal.workerBuildId
  if (buildId === undefined) return {}
  return {
    workerDeploymentOptions: {
      useWorkerVersioning: true,
      version: { deploymentName: 'ipop', buildId },
      defaultVersioningBehavior: 'PINNED',
    },
  }
}

/** Connects to Temporal and runs a worker until it is stopped. */
export async function runWorker(
  config: Config,
  connection: NativeConnection,
  options: Omit<WorkerOptions, 'connection' | 'namespace'>,
): Promise<Worker> {
  return Worker.create({
    connection,
    namespace: config.temporal.namespace,
    shutdownGraceTime: '2 seconds',
    shutdownForceTime: '8 seconds',
    maxHeartbeatThrottleInterval: '1 second',
    defaultHeartbeatThrottleInterval: '1 second',
    ...versioning(config),
    ...options,
  })
}

/** Temporal's own log lines become ours; its signal handlers are left out, since the process handles signals itself. */
export function installRuntime(log: Log): void {
  Runtime.install({
    shutdownSignals: [],
    logger: {
      log: (level, message, meta) => log.info({ level, ...meta }, message),
      trace: () => undefined,
      debug: () => undefined,
      info: () => undefined,
      warn: (message, meta) => log.warn(meta ?? {}, message),
      error: (message, meta) => log.error(meta ?? {}, message),
    },
  })
}
