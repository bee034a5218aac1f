import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { inTransaction } from '../../../infra/postgres/database.ts'
import { spawnApi, type ApiProcess } from '../../support/api-process.ts'
import { apiClient, type ApiReply } from '../../support/client.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { newTenant } from '../../support/tenants.ts'
import { until } from '../../support/until.ts'

const POOL_SIZE = 2
/** The pool is waited for 2 s; ten times that is too long. */
const MOST_MS = 20_000
const db = testDatabase()
let process: ApiProcess
beforeAll(async () => void (process = await spawnApi({ DATABASE_POOL_SIZE: String(POOL_SIZE) })))
afterAll(() => process.stop())

test('an exhausted pool is a 503 with Retry-After, and passes', async () => {
  const tenant = await newTenant(db)
  const stranger = await newTenant(db)
  const api = apiClient(tenant.secret, process.url)
  const fileId = await api.upload('x')
  const chat = { model: 'test/plain', messages: [{ role: 'user', content: 'hello' }] }

  let deletions: Promise<ApiReply>[] = []
  await inTransaction(db, async tx => {
    // Each deletion waits for the row, with a connection in its hand.
    await tx.query('SELECT 1 FROM files WHERE id = $1 FOR UPDATE', [fileId])
    deletions = Array.from({ length: POOL_SIZE }, () => api.delete(`/files/${fileId}`))
    await until(async () => (await waiting()) === POOL_SIZE)

    const startedAtMs = Date.now()
    const refused = await Promise.all([
      api.get('/files'),
      api.get(`/files/${fileId}`),
      api.get(`/files/${fileId}/content`),
      api.send('POST', '/files', { headers: { 'content-type': 'text/plain' }, body: 'y' }),
      api.get('/batches'),
      api.post('/batches', { input_file_id: fileId }),
      api.get('/usage'),
      api.get('/usage/export'),
      api.get('/usage/export', { accept: 'text/csv' }),
      api.post('/chat/completions', chat),
      api.post('/chat/completions', { ...chat, stream: true }),
      apiClient(stranger.secret, process.url).get('/files'),
    ])
    expect(Date.now() - startedAtMs).toBeLessThan(MOST_MS)
    for (const reply of refused) {
      const body = expectError(reply, 503, { code: 'service_unavailable' })
      expect(body).toMatchObject({ retryable: true, retry_after_seconds: expect.any(Number) })
      expect(Number(reply.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    }
    // What needs no database goes on.
    expect((await api.get('/status')).status).toBe(200)
  })

  const statuses = (await Promise.all(deletions)).map(reply => reply.status)
  expect(statuses.toSorted((one, other) => one - other)).toEqual([204, 404])
  expect((await api.get('/files')).body.data).toEqual([])
  expect((await api.post('/chat/completions', chat)).status).toBe(200)
  expect((await api.get('/usage/export')).body.total_requests).toBe(1)

  /** How many statements wait for the row. */
  async function waiting(): Promise<number> {
    const { rows } = await db.query(
      `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'SELECT * FROM files%FOR UPDATE'
         AND application_name = 'ipop-api' AND datname = current_database()`,
    )
    return rows.length
  }
})
