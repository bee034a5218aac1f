import cluster from 'node:cluster'
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createCallRecorder } from '../domain/inference/calls/call.service.ts'
import { createOpenCalls } from '../domain/inference/calls/open-calls.ts'
import { loadCatalog } from '../domain/inference/catalog/catalog.ts'
import { createCredentialsOf } from '../domain/inference/provider-credentials/credential-cache.ts'
import { credentialRoutes as ownRoutes } from '../domain/inference/provider-credentials/credential-routes.ts'
import { createCredentialUse } from '../domain/inference/provider-credentials/credential-use.ts'
import { CREDENTIAL_CHANGES } from '../domain/inference/provider-credentials/credential.sql.ts'
import { createLogReaders } from '../domain/durable/event-log/event-log.reader.ts'
import { LOG_APPENDS } from '../domain/durable/event-log/event-log.sql.ts'
import { createEventAppends } from '../domain/durable/event-log/event-log.writer.ts'
import { createBalances } from '../domain/money/leases/balances.ts'
import { LEASE_RECALLS } from '../domain/money/leases/lease.sql.ts'
import { ACCOUNT_CHANGES } from '../domain/money/ledger/ledger.sql.ts'
import { createRequestLimiter } from '../domain/tenancy/limits/request-limiter.ts'
import { createStreamLimiter } from '../domain/tenancy/limits/stream-limiter.ts'
import { startProcessHeartbeat } from '../domain/durable/processes/heartbeat.ts'
import { newRouteExperience } from '../domain/inference/provider-routes/routing.service.ts'
import { createRequireStorage } from '../domain/tenancy/storage/storage.service.ts'
import { createKeyCache } from '../domain/tenancy/keys/key-cache.ts'
import { largeJson, openThreadWork } from '../domain/inference/threads/thread-work.ts'
import { createKeyWatch } from '../domain/tenancy/keys/key-watch.ts'
import { KEY_CHANGES } from '../domain/tenancy/keys/keys.sql.ts'
import type { Config } from '../infra/config.ts'
import { createKeyedHash } from '../infra/crypto/keyed-hash.ts'
import type { SigningKey } from '../infra/crypto/links.ts'
import { createSecretBox } from '../infra/crypto/sealing.ts'
import type { Log } from '../infra/log.ts'
import { createMetrics, serveMetrics, shareMetrics, type Metrics } from '../infra/metrics.ts'
import { createDiskSpace } from '../infra/objects/disk-space.ts'
import { openObjectStore } from '../infra/objects/open.ts'
import { createOutbound } from '../infra/outbound/outbound.ts'
import { createByteBudget } from '../infra/byte-budget.ts'
import { openDatabase, type Database } from '../infra/postgres/database.ts'
import { createSharedTransaction } from '../infra/postgres/shared-transaction.ts'
import { openListener, type Listener } from '../infra/postgres/listener.ts'
import { createUpstreamClient } from '../infra/upstreams/client/client.ts'
import { requireDatabaseUrl, requireSecretsKeys, requireSigningKeys } from '../infra/config.ts'
import type { ApiDeps } from './http/request/deps.ts'
import { createApp, type RequestListener } from './http/app.ts'
import { createCors, headersToAnybody } from './http/cors.ts'
import { listen } from './http/listen.ts'
import { routes } from './routes/index.ts'

const CHANNELS = [KEY_CHANGES, ACCOUNT_CHANGES, LEASE_RECALLS, CREDENTIAL_CHANGES, LOG_APPENDS]

export interface RunningApi {
  port: number
  /** Refuses new requests, lets those under way end within the time, then closes everything. */
  stop(graceMs: number): Promise<void>
}

/** Starts an API process. */
export async function startApi(config: Config, log: Log): Promise<RunningApi> {
  const databaseUrl = requireDatabaseUrl(config)
  const secrets = createSecretBox(requireSecretsKeys(config))
  const db = openDatabase({ url: databaseUrl, poolSize: config.database.poolSize, applicationName: 'ipop-api' })
  const listener = await openListener(databaseUrl, CHANNELS, log)
  const metrics = createMetrics('api')
  const { stop: stopHolding, ...holding } = await beginHolding({ db, listener, log }, config)
  const credentialsOf = createCredentialsOf({ db, listener, secrets, log })
  const outbound = createOutbound(config.outbound)
  const threadWork = openThreadWork()
  const upstreams = createUpstreamClient(config.upstreams, outbound, largeJson(threadWork))
  const deps: ApiDeps = {
    config,
    db,
    sharedTransaction: createSharedTransaction(db),
    ...openStorage(db, config),
    keyCache: createKeyCache(listener),
    keyWatch: createKeyWatch({ db, listener, log }),
    requestLimits: createRequestLimiter({ db, log }),
    streamLimits: createStreamLimiter({ db, log, leaseMs: config.streamLeaseMs }),
    credentialUse: createCredentialUse({ db, log }),
    secrets,
    threadWork,
    byteBudget: createByteBudget(config.largeRequestBytes),
    identityHash: identityHashOf(config),
    outbound,
    appendEvents: createEventAppends(db),
    logReaders: createLogReaders({ db, listener }),
    ...holding,
    recordCall: createCallRecorder({ db, metrics }),
    catalog: loadCatalog(config),
    upstreams,
    ...newRouteExperience(),
    ownRoutes: (owner, model) => ownRoutes({ credentialsOf }, owner, model),
    log,
    metrics,
  }
  const metricsServer = await openMetrics(metrics, config)
  const handle = createApp(routes, deps)
  const underWay = new Set<Promise<void>>()
  const answer: RequestListener = (request, response) => {
    const handled = handle(request, response).finally(() => underWay.delete(handled))
    underWay.add(handled)
    return handled
  }
  const server = await listen(answer, { ...config, log, headers: headersToAnybody(createCors(config.corsOrigins)) })
  return {
    port: (server.address() as AddressInfo).port,
    stop: async graceMs => {
      await closeServer(server, graceMs)
      // Connections are closed; what they had under way is still to be recorded.
      await Promise.allSettled(underWay)
      metricsServer?.close()
      await Promise.all([deps.requestLimits.stop(), deps.streamLimits.stop(), deps.keyWatch.stop(), stopHolding()])
      await Promise.all([threadWork.stop(), upstreams.close()])
      await outbound.close()
      await listener.close()
      await db.close()
    },
  }
}

/** Under the oldest key: a new one, for links, must not forget who had a trial. */
const identityHashOf = (config: Config) =>
  createKeyedHash((requireSigningKeys(config).at(-1) as SigningKey).bytes, 'trial identities')

/** Where bytes are kept, and what refuses more of them. */
const openStorage = (db: Database, config: Config) => ({
  objects: openObjectStore(config),
  requireStorage: createRequireStorage({ db, disk: createDiskSpace(config), quotas: config.storage.quotas }),
})

/** What this process holds in the others' eyes: leased credit, and calls under way. */
async function beginHolding(deps: { db: Database; listener: Listener; log: Log }, config: Config) {
  const heartbeat = await startProcessHeartbeat({ ...deps, lostAfterMs: config.processLostMs })
  const balances = createBalances({ ...deps, heartbeat })
  const openCalls = createOpenCalls({ ...deps, heartbeat })
  const stop = async () => {
    await Promise.all([balances.stop(), openCalls.stop()])
    await heartbeat.stop()
  }
  return { heartbeat, balances, openCalls, stop }
}

/** One of several processes tells them to the first, which has the port. */
async function openMetrics(metrics: Metrics, { host, metricsPort }: Config): Promise<Server | undefined> {
  if (cluster.isWorker) shareMetrics(metrics)
  else if (metricsPort !== undefined) return serveMetrics(metrics.registry, host, metricsPort)
  return undefined
}

async function closeServer(server: Server, graceMs: number): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeIdleConnections()
  const late = setTimeout(() => server.closeAllConnections(), graceMs)
  await closed
  clearTimeout(late)
}
