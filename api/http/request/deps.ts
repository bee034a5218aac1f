import type { ChatDeps } from '../../../domain/inference/chat/chat.service.ts'
import type { AppendEvents } from '../../../domain/durable/event-log/event-log.writer.ts'
import type { LogReaders } from '../../../domain/durable/event-log/event-log.reader.ts'
import type { RequestLimiter } from '../../../domain/tenancy/limits/request-limiter.ts'
import type { StreamLimiter } from '../../../domain/tenancy/limits/stream-limiter.ts'
import type { ProcessHeartbeat } from '../../../domain/durable/processes/heartbeat.ts'
import type { RequireStorage } from '../../../domain/tenancy/storage/storage.service.ts'
import type { KeyCache } from '../../../domain/tenancy/keys/key-cache.ts'
import type { KeyWatch } from '../../../domain/tenancy/keys/key-watch.ts'
import type { ThreadWork } from '../../../domain/inference/threads/thread-work.ts'
import type { TrialDeps } from '../../../domain/tenancy/trials/trial.service.ts'
import type { ByteBudget } from '../../../infra/byte-budget.ts'
import type { Config } from '../../../infra/config.ts'
import type { SecretBox } from '../../../infra/crypto/sealing.ts'
import type { SharedTransaction } from '../../../infra/postgres/shared-transaction.ts'
import type { Log } from '../../../infra/log.ts'
import type { Metrics } from '../../../infra/metrics.ts'
import type { ObjectStore } from '../../../infra/objects/store.ts'
import type { Outbound } from '../../../infra/outbound/outbound.ts'
import type { Database } from '../../../infra/postgres/database.ts'
import type { UpstreamProbe } from '../../../infra/upstreams/upstream.ts'

/** What the API's handlers work with; a service takes the part it uses. */
export interface ApiDeps extends ChatDeps {
  config: Pick<
    Config,
    | 'adminToken'
    | 'defaultRequestsPerMinute'
    | 'publicUrl'
    | 'corsOrigins'
    | 'signingKeys'
    | 'streamStallMs'
    | 'trustedProxies'
    | 'vscodeTrials'
  >
  db: Database
  sharedTransaction: SharedTransaction
  upstreams: ChatDeps['upstreams'] & UpstreamProbe
  objects: ObjectStore
  requireStorage: RequireStorage
  keyCache: KeyCache
  heartbeat: Pick<ProcessHeartbeat, 'id'>
  keyWatch: KeyWatch
  requestLimits: RequestLimiter
  streamLimits: StreamLimiter
  appendEvents: AppendEvents
  secrets: SecretBox
  identityHash: TrialDeps['identityHash']
  outbound: Outbound
  threadWork: ThreadWork
  byteBudget: ByteBudget
  logReaders: LogReaders
  log: Log
  metrics: Metrics
}
