import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { endLostBatch } from '../../../domain/work/batches/batch-end.ts'
import { validateBatch } from '../../../domain/work/batches/batch-validation.ts'
import { createBatch } from '../../../domain/work/batches/batch.service.ts'
import { loadCatalog } from '../../../domain/inference/catalog/catalog.ts'
import { uploadFile } from '../../../domain/work/files/file.service.ts'
import type { JobContext } from '../../../domain/durable/jobs/job-context.ts'
import { releaseOrphanedHolds } from '../../../domain/money/ledger/hold-repair.ts'
import { requireHold } from '../../../domain/money/ledger/ledger.service.ts'
import { verifyLedger } from '../../../domain/money/verify/verify.ts'
import type { Caller } from '../../../domain/core/caller.rules.ts'
import { readConfig } from '../../../infra/config.ts'
import { createMetrics } from '../../../infra/metrics.ts'
import { FileSystemObjectStore } from '../../../infra/objects/file-system.ts'
import { inTransaction, type Database } from '../../../infra/postgres/database.ts'
import { chatRow } from '../../support/batches.ts'
import { jobBench, silentLog } from '../../support/jobs.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant } from '../../support/tenants.ts'
import { THREADS_HERE } from '../../support/threads-here.ts'

const bench = jobBench()
const { catalogFile, upstreamUrl } = testStack()
const catalog = loadCatalog(readConfig({ CATALOG_FILE: catalogFile, OPENROUTER_BASE_URL: upstreamUrl }))
let root: string
let objects: FileSystemObjectStore
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'ipop-fence-'))
  objects = new FileSystemObjectStore(root)
})
afterAll(() => rm(root, { recursive: true, force: true }))

const requireStorage = () => Promise.resolve()
const never = new AbortController().signal

async function newBatch(): Promise<{ batchId: string; caller: Caller }> {
  const { userId, keyId } = await newTenant(bench.db)
  const rules = { allowedModels: null, externalProcessing: true, smokeTest: false }
  const caller: Caller = { owner: { userId, projectId: null }, keyId, rules, contentPolicy: null }
  const body = Readable.from([`${JSON.stringify(chatRow('a', 'hello'))}\n`])
  const details = () => ({ purpose: 'batch', filename: null })
  const file = await uploadFile({ db: bench.db, objects, requireStorage }, caller, { body, signal: never, details })
  const request = { input_file_id: file.id }
  const repeatable = { operation: 'POST /batches', requestKey: undefined }
  const { id } = await createBatch({ db: bench.db, requireStorage }, caller, request, repeatable)
  return { batchId: id, caller }
}

const stepOf = (batchId: string): JobContext => ({
  run: { resourceId: batchId, run: 1 },
  attempt: 1,
  signal: never,
  isCancelled: () => false,
  heartbeat: () => undefined,
})

/** A database that stops before the next connection once `stopsWhen`; `reached` resolves there, `go` lets it on. */
function stoppingDatabase(stopsWhen: () => Promise<boolean>) {
  let go: () => void = () => undefined
  let reach: () => void = () => undefined
  const going = new Promise<void>(resolve => (go = resolve))
  const reached = new Promise<void>(resolve => (reach = resolve))
  const pool = Object.create(bench.db.pool) as Database['pool']
  pool.connect = (async () => {
    if (await stopsWhen()) {
      reach()
      await going
    }
    return bench.db.pool.connect()
  }) as Database['pool']['connect']
  return { db: { ...bench.db, pool }, reached, go }
}

const openHolds = async () => (await bench.db.query('SELECT 1 FROM holds WHERE released_at IS NULL')).rowCount

test('a validation whose job is ended before it sets credit aside writes nothing', async () => {
  const { batchId, caller } = await newBatch()
  const rowsWritten = async () =>
    (await bench.db.query('SELECT 1 FROM batch_rows WHERE batch_id = $1', [batchId])).rowCount === 1
  const { db, reached, go } = stoppingDatabase(rowsWritten)
  const validating = validateBatch({ db, objects, catalog, threadWork: THREADS_HERE }, stepOf(batchId), batchId)
  await Promise.race([reached, validating])
  await endLostBatch({ db: bench.db, objects }, { resourceId: batchId, run: 1 }, 'terminated')
  go()
  await expect(validating).rejects.toMatchObject({ name: 'JobSuperseded' })

  expect(await openHolds()).toBe(0)
  const batch = await bench.db.query('SELECT status, reserved_nanos FROM batches WHERE id = $1', [batchId])
  expect(batch.rows).toEqual([{ status: 'failed', reserved_nanos: null }])
  const account = await bench.db.query('SELECT held_nanos FROM accounts WHERE user_id = $1', [caller.owner.userId])
  expect(account.rows).toEqual([{ held_nanos: 0n }])
  expect(await verifyLedger({ db: bench.db })).toMatchObject({ ok: true })
})

test('a hold that outlived its job is released, counted, and the books agree again', async () => {
  const [ended, open] = [await newBatch(), await newBatch()]
  for (const { batchId, caller } of [ended, open]) {
    await inTransaction(bench.db, tx =>
      requireHold(tx, { resourceId: batchId, run: 1 }, caller.owner, 5n, () => new Error('no credit')),
    )
  }
  const end = (ago: string) =>
    bench.db.query(`UPDATE jobs SET state = 'ended', ended_at = now() - $2::interval WHERE resource_id = $1`, [
      ended.batchId,
      ago,
    ])
  const metrics = createMetrics('test')
  const deps = { db: bench.db, metrics, log: silentLog }
  await end('10 seconds')
  await releaseOrphanedHolds(deps)
  expect(await openHolds()).toBe(2)
  await end('2 minutes')
  expect((await verifyLedger({ db: bench.db })).ok).toBe(false)
  expect(await releaseOrphanedHolds(deps)).toBe(false)
  expect(await releaseOrphanedHolds(deps)).toBe(false)

  expect((await metrics.orphanedHolds.get()).values).toMatchObject([{ value: 1 }])
  const holds = await bench.db.query('SELECT resource_id FROM holds WHERE released_at IS NULL')
  expect(holds.rows).toEqual([{ resource_id: open.batchId }])
  expect(await verifyLedger({ db: bench.db })).toMatchObject({ ok: true })
})
