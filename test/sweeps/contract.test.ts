import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { compareContract, type OpenApiDocument } from './contract/compare.ts'
import { chatRow, startBatch, untilEnded } from '../support/batches.ts'
import { apiClient, type ApiReply } from '../support/client.ts'
import { credentialOf, patchCredential } from '../support/credentials.ts'
import { testDatabase } from '../support/database.ts'
import { servedDocument, type ServedDocument } from '../support/served-document.ts'
import { SOUND_BODIES } from '../support/sound-bodies.ts'
import { newTenant, type Tenant } from '../support/tenants.ts'

const db = testDatabase()
const contract = JSON.parse(
  readFileSync(new URL('./contract/contract.json', import.meta.url), 'utf8'),
) as OpenApiDocument
/** Operations of the contract that are not served yet. It only shrinks: what is served leaves it, and nothing comes in. */
const NOT_SERVED = JSON.parse(readFileSync(new URL('./contract/not-served.json', import.meta.url), 'utf8')) as string[]
/** How many they were when the list began. */
const NOT_SERVED_ONCE = 121
const CONTRACT = Object.entries(contract.paths).flatMap(([path, item]) =>
  Object.keys(item)
    .filter(key => key !== 'parameters')
    .map(method => `${method.toUpperCase()} ${path}`),
)

let document: ServedDocument
beforeAll(async () => void (document = await servedDocument()))

describe('the served document', () => {
  test('keeps the contract', async () => {
    const reply = await apiClient(undefined).get<OpenApiDocument>('/openapi.json')
    expect(reply.status).toBe(200)
    expect(compareContract(reply.body, contract, { servedOnly: true })).toEqual([])
  })

  test('holds all operations of the contract but those that are not served yet', () => {
    const served = document.operations.map(({ method, path }) => `${method} ${path}`)
    const missing = CONTRACT.filter(operation => !served.includes(operation))
    expect(missing.toSorted()).toEqual(NOT_SERVED.toSorted())
    expect(NOT_SERVED.length).toBeLessThanOrEqual(NOT_SERVED_ONCE)
  })

  test('says what every operation is for, and that both headers take the key', () => {
    for (const { method, path, summary, security } of document.operations) {
      const where = `${method} ${path}`
      expect({ where, summary }).toEqual({ where, summary: expect.stringMatching(/^[A-Z].{9,119}$/) })
      if (security === undefined) continue
      expect({ where, security }).toEqual({
        where,
        security: expect.arrayContaining([{ ApiKey: [] }, { BearerApiKey: [] }]),
      })
    }
  })

  test('describes the errors of every operation with the one error body', () => {
    for (const { method, path, responses } of document.operations) {
      const failures = Object.entries(responses).filter(([status]) => Number(status) >= 400)
      const schemas = failures.map(([, response]) => response.content?.['application/json']?.schema)
      expect(failures.length).toBeGreaterThanOrEqual(6)
      expect({ method, path, schemas }).toEqual({
        method,
        path,
        schemas: failures.map(() => ({ $ref: '#/components/schemas/Error' })),
      })
    }
  })
})

describe('a reply is as its schema says', () => {
  const chat = { model: 'test/plain', messages: [{ role: 'user', content: 'hello' }] }

  const expectKept = (method: string, path: string, reply: ApiReply, status = 200) => {
    expect(reply.status).toBe(status)
    expect(document.faults(method, path, status, reply.body)).toEqual([])
  }

  test('of the models', async () => {
    const api = apiClient(undefined)
    expectKept('GET', '/models', await api.get('/models?include_unavailable=true'))
    expectKept('GET', '/models/{model_id}', await api.get('/models/claude-sonnet-4.6?include_unavailable=true'))
    expectKept('GET', '/status', await api.get('/status?include_unavailable=true'))
    expectKept('GET', '/ready', await api.get('/ready?include_unavailable=true'))
    expectKept('GET', '/openapi.json', await api.get('/openapi.json'))
  })

  test('of chat, usage and its export', async () => {
    const { api } = await newTenant(db)
    expectKept('POST', '/chat/completions', await api.post('/chat/completions', chat))
    const usage = await api.get('/usage')
    expectKept('GET', '/usage', usage)
    expect(usage.body.records).toHaveLength(1)
    expectKept('GET', '/usage/export', await api.get('/usage/export'))
  })

  test('of files', async () => {
    const { api } = await newTenant(db)
    const headers = { 'content-type': 'application/octet-stream' }
    const uploaded = await api.send('POST', '/files', { headers, body: 'x' })
    expectKept('POST', '/files', uploaded)
    expectKept('GET', '/files/{file_id}', await api.get(`/files/${uploaded.body.id}`))
    expectKept('GET', '/files', await api.get('/files'))
    expectKept('DELETE', '/files/{file_id}', await api.delete(`/files/${uploaded.body.id}`), 204)
  })

  test('of batches, with rows of every outcome', async () => {
    const { api } = await newTenant(db)
    const fileId = await api.upload([chatRow('a', 'hello'), chatRow('b', 'hello', { model: 'no/such' })])
    const created = await api.post('/batches', { input_file_id: fileId, metadata: { a: { b: [1, null] } } })
    expectKept('POST', '/batches', created)
    await untilEnded(api, created.body.id)
    const detail = await api.get(`/batches/${created.body.id}`)
    expect(detail.body.rows.map((row: { status: string }) => row.status)).toEqual(['completed', 'failed'])
    expectKept('GET', '/batches/{batch_id}', detail)
    expectKept('GET', '/batches', await api.get('/batches'))
    const stopped = await startBatch(api, [chatRow('a', JSON.stringify({ fake: { hang: true } }))])
    expectKept('POST', '/batches/{batch_id}/cancel', await api.post(`/batches/${stopped}/cancel`))
  })

  test('of provider credentials', async () => {
    const { api } = await newTenant(db)
    const path = '/account/provider-credentials'
    const made = await api.post(path, credentialOf({ base_url: 'https://1.1.1.1' }))
    expectKept('POST', path, made)
    const { id } = made.body
    expectKept('PATCH', `${path}/{credential_id}`, await patchCredential(api, id, { base_url: null }))
    expectKept('POST', `${path}/{credential_id}/test`, await api.post(`${path}/${id}/test`))
    expectKept('GET', path, await api.get(path))
    expectKept('DELETE', `${path}/{credential_id}`, await api.delete(`${path}/${id}`))
  })

  test('of a trial', async () => {
    const path = '/platform/auth/trial/vscode'
    expectKept('POST', path, await apiClient(undefined).post(path, SOUND_BODIES[`POST ${path}`]?.('')))
  })

  test('of client configs and capabilities', async () => {
    const { api } = await newTenant(db)
    expectKept('GET', '/agent-capabilities', await api.get('/agent-capabilities'))
    for (const path of ['/client-config/opencode', '/client-config/hermes']) {
      expectKept('GET', path, await api.get(path))
      expectKept('GET', `${path}/freshness`, await api.get(`${path}/freshness?fingerprint=x`))
    }
  })

  test.each<[string, string, (tenant: Tenant) => Promise<ApiReply>, number]>([
    ['POST', '/chat/completions', ({ api }) => api.post('/chat/completions', { ...chat, messages: [] }), 400],
    ['GET', '/usage', () => apiClient(undefined).get('/usage'), 401],
    ['POST', '/chat/completions', ({ api }) => api.post('/chat/completions', { ...chat, model: 'test/dear' }), 402],
    ['GET', '/files/{file_id}', ({ api }) => api.get('/files/unknown'), 404],
    ['GET', '/models/{model_id}', ({ api }) => api.get('/models/test/unrouted'), 409],
  ])('%s %s in an error', async (method, path, call, status) => {
    const tenant = await newTenant(db, { creditUsd: '0' })
    expectKept(method, path, await call(tenant), status)
  })
})
