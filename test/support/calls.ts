import { v7 as uuidv7 } from 'uuid'
import type { CallRecord } from '../../domain/inference/calls/call.rules.ts'
import { recordCalls } from '../../domain/inference/calls/call.service.ts'
import { inTransaction, type Database } from '../../infra/postgres/database.ts'
import type { Tenant } from './tenants.ts'

/** A finished call of the tenant at that time, as the API records them. */
export function callAt(tenant: Tenant, createdAt: Date, changes: Partial<CallRecord> = {}): CallRecord {
  return {
    id: uuidv7({ msecs: createdAt.getTime() }),
    owner: { userId: tenant.userId, projectId: tenant.projectId ?? null },
    keyId: tenant.keyId,
    surface: 'chat',
    resourceId: null,
    model: 'test/plain',
    upstream: 'fake-a',
    upstreamModel: 'test/plain',
    status: 'completed',
    errorCode: null,
    streamed: false,
    usage: { input: 10, output: 5 },
    usageSource: 'upstream',
    costNanos: 1_000n,
    providerBilled: true,
    requestedModel: null,
    metadata: null,
    replayOf: null,
    credentialId: null,
    cacheHit: false,
    fallbackCount: 0,
    durationMs: 20,
    firstTokenMs: null,
    createdAt,
    ...changes,
  }
}

/** Records calls as they would have been at their times. */
export async function insertPastCalls(db: Database, calls: CallRecord[]): Promise<void> {
  await inTransaction(db, tx => recordCalls(tx, calls))
}
