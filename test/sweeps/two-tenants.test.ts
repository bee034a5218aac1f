import { describe, expect, test } from '@jest/globals'
import { chatRow, untilBatch } from '../support/batches.ts'
import { chatOf, CHAT } from '../support/chats.ts'
import type { ApiReply } from '../support/client.ts'
import { newCredential } from '../support/credentials.ts'
import { testDatabase } from '../support/database.ts'
import { expectError } from '../support/errors.ts'
import { fakePrompt } from '../support/fake-upstream.ts'
import { KEEP_ALL } from '../support/policies.ts'
import { rowCounts } from '../support/row-counts.ts'
import { servedDocument, type ServedOperation } from '../support/served-document.ts'
import { newTenant, type Tenant } from '../support/tenants.ts'
import { allTurnEvents, startTurn } from '../support/turns.ts'

const db = testDatabase()
const document = await servedDocument()
const nameOf = ({ method, path }: ServedOperation) => `${method} ${path}`
const NOUGHTS = '0'.repeat(32)

interface Thing {
  id: string
  /** An id of the same form that nobody has. */
  unknown: string
  /** Where its owner sees it. */
  seenAt: string
}

/** Makes a thing of the tenant's, by the beginning of the paths that take its id. */
const MAKERS: Record<string, (tenant: Tenant) => Promise<Thing>> = {
  '/files/{file_id}': async ({ api }) => {
    const id = await api.upload([chatRow('a', fakePrompt({ hang: true }))])
    return { id, unknown: `file_${NOUGHTS}`, seenAt: `/files/${id}` }
  },
  '/batches/{batch_id}': async ({ api }) => {
    const fileId = await api.upload([chatRow('a', fakePrompt({ hang: true }))])
    const { id } = (await api.post('/batches', { input_file_id: fileId })).body
    await untilBatch(api, id, batch => batch.status === 'in_progress')
    return { id, unknown: `batch_${NOUGHTS}`, seenAt: `/batches/${id}` }
  },
  '/responses/{response_id}': async ({ api }) => {
    const { id } = (await api.post('/responses', { model: 'test/plain', input: 'hello' })).body
    return { id, unknown: `resp_${NOUGHTS}`, seenAt: `/responses/${id}` }
  },
  '/agent-turns/{request_id}': async ({ api, secret }) => {
    const id = await startTurn(api, { reply: 'hello' })
    await allTurnEvents(secret, id)
    return { id, unknown: `turn_${NOUGHTS}`, seenAt: `/agent-turns/${id}` }
  },
  '/request-history/{request_id}': async ({ api }) => {
    const { headers } = await api.post(CHAT, chatOf({ reply: 'hello' }))
    const id = headers.get('x-request-id') ?? ''
    return { id, unknown: '00000000-0000-7000-8000-000000000000', seenAt: `/request-history/${id}` }
  },
  '/videos/{job_id}': async ({ api }) => {
    const prompt = fakePrompt({ video: { polls: [{ status: 'in_progress' }] } })
    const { id } = (await api.post('/videos', { model: 'test/film', prompt })).body
    return { id, unknown: `video_${NOUGHTS}`, seenAt: `/videos/${id}` }
  },
  '/account/provider-credentials/{credential_id}': async ({ api }) => {
    const { id } = await newCredential(api)
    return { id, unknown: `cred_${NOUGHTS}`, seenAt: '/account/provider-credentials' }
  },
  '/projects/{project_id}': async ({ projectId = '' }) => ({
    id: projectId,
    unknown: `proj_${NOUGHTS}`,
    seenAt: `/projects/${projectId}/inference-policy`,
  }),
}

/** What operations with a body need beside the id; none of it is at fault. */
const BODIES: Record<string, object> = {
  'PATCH /account/provider-credentials/{credential_id}': { label: 'mine now' },
  'PUT /projects/{project_id}/inference-policy': KEEP_ALL,
  'POST /request-history/{request_id}/feedback': { rating: -1 },
}

/** Operations that name a thing in their body: its maker, and the rest of the body. */
const BY_BODY: Record<string, [maker: string, field: string, rest: object]> = {
  'POST /batches': ['/files/{file_id}', 'input_file_id', {}],
  'POST /responses': ['/responses/{response_id}', 'previous_response_id', { model: 'test/plain', input: 'more' }],
  'POST /responses/input_tokens': [
    '/responses/{response_id}',
    'previous_response_id',
    { model: 'test/plain', input: 'more' },
  ],
}

/** Operations that take no id of anything, or of nothing that is a tenant's. */
const WITHOUT_THINGS = [
  'GET /models',
  'GET /models/{model_id}',
  'GET /status',
  'GET /ready',
  'GET /openapi.json',
  'GET /agent-capabilities',
  'GET /client-config/opencode',
  'GET /client-config/opencode/freshness',
  'GET /client-config/hermes',
  'GET /client-config/hermes/freshness',
  'POST /chat/completions',
  'POST /completions',
  'POST /platform/auth/trial/vscode',
  'POST /embeddings',
  'POST /estimate',
  'POST /images/generations',
  'POST /model-recommendations',
  'POST /agent-turns',
  'POST /agent-tool-batches/plan',
  'POST /files',
  'POST /videos',
  'POST /account/provider-credentials',
]

const makerOf = ({ path }: ServedOperation) => Object.keys(MAKERS).find(beginning => path.startsWith(beginning))
const byPath = document.operations.filter(operation => makerOf(operation) !== undefined)
const lists = document.operations.filter(
  operation =>
    operation.method === 'GET' && !operation.path.includes('{') && !WITHOUT_THINGS.includes(nameOf(operation)),
)

test('every operation is tried, or takes nothing of a tenant', () => {
  const known = [...byPath.map(nameOf), ...lists.map(nameOf), ...Object.keys(BY_BODY), ...WITHOUT_THINGS]
  expect(document.operations.map(nameOf).filter(name => !known.includes(name))).toEqual([])
})

const send = (tenant: Tenant, method: string, path: string, body: object | undefined): Promise<ApiReply> =>
  tenant.api.send(method, path, {
    ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  })

/** A reply without what differs by request or by how much of its body has come, and without the id itself. */
const likeness = ({ status, text, headers }: ApiReply, id: string) => ({
  status,
  text: text.replaceAll(id, 'the id').replaceAll(headers.get('x-request-id') ?? '', 'the request'),
  headers: [...headers.keys()].filter(name => name !== 'keep-alive').toSorted(),
})

/** The owner's thing, and all that is the owner's, after a stranger was refused, are as before. */
async function expectRefusedAlike(
  owner: Tenant,
  thing: Thing,
  attempt: (id: string) => Promise<ApiReply>,
): Promise<void> {
  const before = [(await owner.api.get(thing.seenAt)).status, await rowCounts(db, owner.userId)]
  const foreign = await attempt(thing.id)
  expectError(foreign, 404, { code: 'bad_request', type: 'not_found' })
  expect(likeness(foreign, thing.id)).toEqual(likeness(await attempt(thing.unknown), thing.unknown))
  expect([(await owner.api.get(thing.seenAt)).status, await rowCounts(db, owner.userId)]).toEqual(before)
  expect(before[0]).toBe(200)
}

const endBatch = async (owner: Tenant, { seenAt }: Thing) =>
  seenAt.startsWith('/batches/') && (await owner.api.post(`${seenAt}/cancel`))

describe("another tenant's thing is as one that does not exist", () => {
  test.each(byPath.map(operation => [nameOf(operation), operation] as const))('to %s', async (name, operation) => {
    const [owner, stranger] = [await newTenant(db, { inProject: true }), await newTenant(db, { inProject: true })]
    const maker = makerOf(operation) ?? ''
    const thing = await MAKERS[maker]?.(owner)
    if (thing === undefined) throw new Error(`nothing makes ${maker}`)
    const pathOf = (id: string) => operation.path.replace(/\{\w+\}/, id)
    await expectRefusedAlike(owner, thing, id => send(stranger, operation.method, pathOf(id), BODIES[name]))
    await endBatch(owner, thing)
  })

  test.each(Object.entries(BY_BODY))('to %s by its body', async (name, [maker, field, rest]) => {
    const [owner, stranger] = [await newTenant(db), await newTenant(db)]
    const thing = await MAKERS[maker]?.(owner)
    if (thing === undefined) throw new Error(`nothing makes ${maker}`)
    const [method = '', path = ''] = name.split(' ')
    await expectRefusedAlike(owner, thing, id => send(stranger, method, path, { ...rest, [field]: id }))
  })
})

describe("another tenant's things are in no list", () => {
  test.each(lists.map(operation => [nameOf(operation), operation.path] as const))('of %s', async (_, path) => {
    const [owner, stranger] = [await newTenant(db, { inProject: true }), await newTenant(db, { inProject: true })]
    const empty = (await stranger.api.get(path)).text
    const things = await Promise.all(Object.values(MAKERS).map(maker => maker(owner)))
    const reply = await stranger.api.get(path)
    expect(reply.status).toBe(200)
    expect(reply.text).toBe(empty)
    const own = (await owner.api.get(path)).text
    expect(own).not.toBe(empty)
    for (const thing of things) await endBatch(owner, thing)
  })
})
