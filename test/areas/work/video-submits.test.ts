import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { loadCatalog } from '../../../domain/inference/catalog/catalog.ts'
import { VIDEO_JOBS } from '../../../domain/work/videos/video.rules.ts'
import { newId } from '../../../domain/core/ids.ts'
import type { JobContext } from '../../../domain/durable/jobs/job-context.ts'
import { startJob } from '../../../domain/durable/jobs/jobs.service.ts'
import { newRouteExperience } from '../../../domain/inference/provider-routes/routing.service.ts'
import { insertVideo, selectVideoById } from '../../../domain/work/videos/video.sql.ts'
import { submitVideo, type VideoRunDeps } from '../../../domain/work/videos/video-run.ts'
import { readConfig } from '../../../infra/config.ts'
import { createMetrics } from '../../../infra/metrics.ts'
import { createOutbound } from '../../../infra/outbound/outbound.ts'
import { inTransaction } from '../../../infra/postgres/database.ts'
import { createUpstreamClient } from '../../../infra/upstreams/client/client.ts'
import { jobBench, silentLog } from '../../support/jobs.ts'
import { newTenant } from '../../support/tenants.ts'
import { startLocalServer, type LocalServer } from '../../unit/infra/upstreams/local-server.ts'
import { LARGE_HERE, THREADS_HERE } from '../../support/threads-here.ts'

const bench = jobBench()
let folder: string
let provider: LocalServer
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ipop-submits-'))
  provider = await startLocalServer()
})
afterAll(async () => {
  await provider.close()
  await rm(folder, { recursive: true, force: true })
})

const never = new AbortController().signal

/** What a worker has, with routes to the provider alone. */
async function workerDeps(takesKeys: boolean): Promise<VideoRunDeps> {
  const file = join(folder, `catalog-${takesKeys}.json`)
  const upstream = { id: 'films', base_url: provider.upstream.baseUrl, external: false, idempotency_keys: takesKeys }
  const model = {
    id: 'test/film',
    display_name: 'film',
    owned_by: 'test',
    tier: 'catalog',
    latency_class: 'standard',
    recommended_for: [],
    max_input_tokens: 1_000,
    max_output_tokens: 0,
    capabilities: ['videos'],
    price: { input: 0, cached_input: 0, output: 0, video_second: 0.1 },
    routes: [{ upstream: 'films', model: 'film' }],
  }
  await writeFile(file, JSON.stringify({ upstreams: [upstream], models: [model] }))
  const config = readConfig({ CATALOG_FILE: file })
  return {
    db: bench.db,
    objects: undefined as never,
    metrics: createMetrics('test'),
    catalog: loadCatalog(config),
    upstreams: createUpstreamClient(config.upstreams, createOutbound(config.outbound), LARGE_HERE),
    ...newRouteExperience(),
    threadWork: THREADS_HERE,
    ownRoutes: () => [],
    credentialUse: { succeeded: () => undefined, failed: () => undefined },
    log: silentLog,
  }
}

async function newVideo(): Promise<string> {
  const { userId, keyId } = await newTenant(bench.db)
  const id = newId('video')
  const rules = { allowedModels: null, externalProcessing: true, smokeTest: false }
  const caller = { owner: { userId, projectId: null }, keyId, rules, contentPolicy: null }
  await inTransaction(bench.db, async tx => {
    const job = { resourceId: id, owner: caller.owner, input: {}, summary: '', fileIds: [] }
    await startJob(tx, { ...VIDEO_JOBS, queue: 'none' }, job)
    const asked = {
      model: 'test/film',
      askedModel: 'test/film',
      requestJson: JSON.stringify({ prompt: 'x' }),
      metadata: null,
    }
    await insertVideo(tx, { id, caller, ...asked, heldNanos: 0n })
  })
  return id
}

const stepOf = (id: string, attempt: number): JobContext => ({
  run: { resourceId: id, run: 1 },
  attempt,
  signal: never,
  isCancelled: () => false,
  heartbeat: () => undefined,
})
/** Tries as Temporal does, each time with breakers that know nothing; gives the outcome of each. */
async function tried(id: string, times: number, takesKeys: boolean): Promise<string[]> {
  const deps = await workerDeps(takesKeys)
  const outcomes: string[] = []
  for (let attempt = 1; attempt <= times; attempt += 1) {
    const step = submitVideo({ ...deps, ...newRouteExperience() }, stepOf(id, attempt), id)
    outcomes.push(await step.catch(() => 'again'))
  }
  return outcomes
}
const video = async (id: string) => selectVideoById(bench.db, id)

test('a provider that gives no answer is asked four times, each counted before', async () => {
  const id = await newVideo()
  const counts: (number | undefined)[] = []
  provider.answer((response, request) => {
    void video(id).then(row => {
      counts.push(row?.submits)
      request.socket.destroy()
      response.destroy()
    })
  })
  expect(await tried(id, 6, false)).toEqual(['again', 'again', 'again', 'again', 'ended', 'ended'])
  expect(counts).toEqual([1, 2, 3, 4])
  expect(await video(id)).toMatchObject({ status: 'failed', error: expect.stringContaining('not asked again') })
})

test('one that refuses has made nothing: it is asked for as long as it may', async () => {
  const id = await newVideo()
  let calls = 0
  provider.answer(response => {
    calls += 1
    response.writeHead(429, { 'content-type': 'application/json' }).end('{"error":{"message":"later"}}')
  })
  expect(new Set(await tried(id, 8, false))).toEqual(new Set(['again']))
  expect(calls).toBe(8)
  expect(await video(id)).toMatchObject({ submits: 0, status: 'pending' })
})

test('one that takes idempotency keys is given the same one every time, and asked on', async () => {
  const id = await newVideo()
  const keys: unknown[] = []
  provider.answer((response, request) => {
    keys.push(request.headers['idempotency-key'])
    if (keys.length < 6) return void request.socket.destroy()
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"id":"job-1","status":"pending"}')
  })
  expect(await tried(id, 7, true)).toEqual([...Array<string>(5).fill('again'), 'go_on', 'go_on'])
  expect(keys).toEqual(Array(6).fill(id))
  expect(await video(id)).toMatchObject({ provider: { job_id: 'job-1' }, status: 'in_progress' })
})

test('one that takes none is sent none', async () => {
  const id = await newVideo()
  const keys: unknown[] = []
  provider.answer((response, request) => {
    keys.push(request.headers['idempotency-key'])
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"id":"job-2"}')
  })
  expect(await tried(id, 1, false)).toEqual(['go_on'])
  expect(keys).toEqual([undefined])
})
