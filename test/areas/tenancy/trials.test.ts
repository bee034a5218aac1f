import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { disableUser } from '../../../domain/tenancy/accounts/account.service.ts'
import { migrate } from '../../../infra/postgres/migrate.ts'
import { openDatabase, type Database } from '../../../infra/postgres/database.ts'
import { createDatabase, type OwnDatabase } from '../../cli/own-database.ts'
import { spawnApi, type ApiProcess } from '../../support/api-process.ts'
import { chatOf } from '../../support/chats.ts'
import { apiClient, type ApiReply } from '../../support/client.ts'
import { expectError } from '../../support/errors.ts'

const MODEL = 'ipop/coder-balanced'
const UPGRADE = 'https://upgrade.test/plans'
const TRIAL = '/platform/auth/trial/vscode'
const UNLIMITED = { VSCODE_TRIALS_PER_DAY: '1000000', VSCODE_TRIALS_PER_ADDRESS: '1000000' }
const chat = { model: MODEL, messages: [{ role: 'user', content: 'hello' }] }

/** Trials are counted by the whole database, so these have their own. */
let own: OwnDatabase
let db: Database
let generous: ApiProcess
const started: ApiProcess[] = []

beforeAll(async () => {
  own = await createDatabase()
  await migrate(own.url)
  db = openDatabase({ url: own.url, poolSize: 2, applicationName: 'ipop-test' })
  generous = await startApi({ ...UNLIMITED, VSCODE_TRIAL_REQUESTS_PER_DAY: '5', LOG_LEVEL: 'trace' })
})
afterAll(async () => {
  for (const one of started) await one.stop()
  await db.close()
  await own.drop()
})

async function startApi(env: Record<string, string>): Promise<ApiProcess> {
  const api = await spawnApi({ DATABASE_URL: own.url, VSCODE_TRIAL_UPGRADE_URL: UPGRADE, ...env })
  started.push(api)
  return api
}

const someone = (changes: object = {}) => ({
  extension_version: '1.2.3',
  installation_id_hash: randomUUID(),
  machine_id_hash: randomUUID(),
  ...changes,
})
const ask = (api: ApiProcess, who: object = someone(), address?: string, proof = {}): Promise<ApiReply> =>
  apiClient(undefined, api.url).post(TRIAL, who, {
    ...(address === undefined ? {} : { 'x-forwarded-for': address }),
    ...proof,
  })
const RENEWAL = 'x-ipop-renewal-secret'
const withKey = ({ body }: ApiReply) => ({ 'x-api-key': body.api_key as string })
const withSecret = ({ headers }: ApiReply) => ({ [RENEWAL]: headers.get(RENEWAL) ?? '' })
const renew = (who: object, proof: object, api = generous) => ask(api, who, undefined, proof)
const clientOf = ({ body }: ApiReply) => apiClient(body.api_key as string, generous.url)
const statusesOf = (replies: ApiReply[]) => replies.map(({ status }) => status).toSorted((a, b) => a - b)
const refusedOf = (replies: ApiReply[]) => replies.filter(({ status }) => status !== 200)
const times = <T>(count: number, work: (index: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, index) => work(index)))

describe('a trial', () => {
  test('is refused where trials are not enabled', async () => {
    const off = await spawnApi()
    started.push(off)
    const refused = await ask(off)
    expectError(refused, 409, { code: 'capacity_unavailable', type: 'trials_not_enabled' })
    expect(refused.headers.get('x-should-retry')).toBe('false')
  })

  test('is a key for the default model, with credit, a limit and an end', async () => {
    const given = await ask(generous, someone({ attribution: { source: 'marketplace', nested: { a: [1] } } }))
    expect(given.status).toBe(200)
    expect(given.headers.get('cache-control')).toBe('no-store')
    expect(given.headers.get(RENEWAL)).toMatch(/^ipop_renewal_[A-Za-z0-9_-]{43}$/)
    expect(given.body).toEqual({
      object: 'vscode_trial',
      trial_id: expect.stringMatching(/^trial_[0-9a-f]{32}$/),
      api_key: expect.stringMatching(/^ipop_[A-Za-z0-9_-]{43}$/),
      project_name: 'VS Code trial',
      key_id: expect.stringMatching(/^key_/),
      allowed_models: [MODEL],
      daily_request_limit: 5,
      expires_at: expect.stringMatching(/Z$/),
      upgrade_url: UPGRADE,
    })
    const days = (Date.parse(given.body.expires_at) - Date.now()) / 86_400_000
    expect(days).toBeGreaterThan(13.9)
    expect(days).toBeLessThanOrEqual(14)
    const api = clientOf(given)
    const reply = await api.post('/chat/completions', chat)
    expect([reply.status, reply.body.model]).toEqual([200, MODEL])
    expect((await api.get('/usage')).body.total_cost).toBeGreaterThan(0)
    expect((await api.get('/models')).body.data.map((one: { id: string }) => one.id)).toEqual([MODEL])
    expectError(await api.post('/chat/completions', { ...chat, model: 'test/plain' }), 403, {
      code: 'model_not_allowed',
    })
    const { rows } = await db.query<{ balance: bigint }>(
      `SELECT balance_nanos AS balance FROM accounts JOIN trials USING (user_id) WHERE id = $1`,
      [given.body.trial_id],
    )
    expect(rows[0]?.balance).toBeGreaterThan(240_000_000n)
    expect(rows[0]?.balance).toBeLessThan(250_000_000n)
  })

  test('is renewed with its key: the same, with a new key, and the old one is refused', async () => {
    const who = someone()
    const first = await ask(generous, who)
    const second = await renew(who, withKey(first))
    expect(second.body).toMatchObject({ trial_id: first.body.trial_id, expires_at: first.body.expires_at })
    expect(second.body.key_id).not.toBe(first.body.key_id)
    expect(second.headers.get(RENEWAL)).toBeNull()
    expectError(await clientOf(first).get('/usage'), 401, { code: 'unauthorized' })
    expect((await clientOf(second).get('/usage')).status).toBe(200)
    const third = await renew(who, { authorization: `Bearer ${second.body.api_key}` })
    expect(third.body.trial_id).toBe(first.body.trial_id)
  })

  test('is renewed with its secret, also when its key is lost', async () => {
    const who = someone()
    const first = await ask(generous, who)
    const second = await renew(who, withSecret(first))
    const third = await renew(who, withSecret(first))
    expect([second.body.trial_id, third.body.trial_id]).toEqual([first.body.trial_id, first.body.trial_id])
    expect((await clientOf(third).get('/usage')).status).toBe(200)
  })

  test('is renewed from a new machine and installation by who proves it, and they are its own from then on', async () => {
    const first = await ask(generous)
    const elsewhere = someone()
    expect((await renew(elsewhere, withSecret(first))).body.trial_id).toBe(first.body.trial_id)
    expectError(await ask(generous, elsewhere), 409, { type: 'conflict' })
  })

  test.each<[string, (owner: ApiReply) => Promise<object>]>([
    ['nothing', async () => ({})],
    ['a key that was made up', async () => ({ 'x-api-key': `ipop_${'x'.repeat(43)}` })],
    ['a secret that was made up', async () => ({ [RENEWAL]: `ipop_renewal_${'x'.repeat(43)}` })],
    ['the id of its key', async owner => ({ 'x-api-key': owner.body.key_id, [RENEWAL]: owner.body.key_id })],
    ['its own id', async owner => ({ 'x-api-key': owner.body.trial_id, [RENEWAL]: owner.body.trial_id })],
    ['a key that was renewed away', async owner => keyBefore(owner)],
  ])('is not had by naming its machine or installation with %s, and the key of its owner stays good', async (_, of) => {
    const who = someone()
    const owner = await ask(generous, who)
    const proof = await of(owner)
    const held = 'newer' in proof ? (proof.newer as ApiReply) : owner
    const sent = Object.fromEntries(Object.entries(proof).filter(([name]) => name !== 'newer'))
    for (const change of [{}, { machine_id_hash: randomUUID() }, { installation_id_hash: randomUUID() }]) {
      const refused = await renew({ ...who, ...change }, sent)
      expectError(refused, 409, { code: 'bad_request', type: 'conflict' })
      expect(refused.text).not.toContain(owner.body.trial_id)
      expect(refused.headers.get('x-should-retry')).toBe('false')
    }
    expect((await clientOf(held).get('/usage')).status).toBe(200)
  })

  test('is not had with the key of another one: that one is renewed', async () => {
    const who = someone()
    const [owner, other] = [await ask(generous, who), await ask(generous)]
    expect((await renew(who, withKey(other))).body.trial_id).toBe(other.body.trial_id)
    expect((await clientOf(owner).get('/usage')).status).toBe(200)
  })

  test('is the only one of its machine, and of its installation', async () => {
    const who = someone()
    await ask(generous, who)
    for (const same of [{ installation_id_hash: randomUUID() }, { machine_id_hash: randomUUID() }]) {
      expectError(await ask(generous, { ...who, ...same }), 409, { code: 'bad_request', type: 'conflict' })
    }
    const swapped = someone({ installation_id_hash: who.machine_id_hash, machine_id_hash: who.installation_id_hash })
    expect((await ask(generous, swapped)).status).toBe(200)
  })

  test('is one, however many ask at once', async () => {
    const other = await startApi(UNLIMITED)
    const who = someone()
    const given = await times(8, index => ask(index % 2 === 0 ? generous : other, who))
    expect(statusesOf(given)).toEqual([200, ...Array.from({ length: 7 }, () => 409)])
  })

  test('has one good key, however many renew it at once', async () => {
    const other = await startApi(UNLIMITED)
    const who = someone()
    const secret = withSecret(await ask(generous, who))
    const given = await times(8, index => renew(who, secret, index % 2 === 0 ? generous : other))
    expect(new Set(given.map(({ status, body }) => `${status} ${body.trial_id}`)).size).toBe(1)
    const used = await Promise.all(given.map(one => clientOf(one).get('/usage')))
    expect(statusesOf(used)).toEqual([200, ...Array.from({ length: 7 }, () => 401)])
  })

  test('gives a bounded number of keys a day', async () => {
    const who = someone()
    const secret = withSecret(await ask(generous, who))
    const given = await times(21, () => renew(who, secret))
    expect(statusesOf(given)).toEqual([...Array.from({ length: 19 }, () => 200), 429, 429])
    for (const one of refusedOf(given)) expectError(one, 429, { code: 'rate_limit_exceeded', type: 'trial_keys' })
  })

  test('that has ended is not given again, and only its owner is told that it has ended', async () => {
    const who = someone()
    const given = await ask(generous, who)
    await db.query('UPDATE trials SET expires_at = now() WHERE id = $1', [given.body.trial_id])
    await db.query('UPDATE api_keys SET expires_at = now() WHERE id = $1', [given.body.key_id])
    for (const proof of [withKey(given), withSecret(given)]) {
      const { message } = expectError(await renew(who, proof), 402, { code: 'payment_required' })
      expect(message).toContain(UPGRADE)
    }
    const { message } = expectError(await ask(generous, who), 409, { type: 'conflict' })
    expect(message).toContain(UPGRADE)
  })

  test('that an operator stopped is not given again', async () => {
    const who = someone()
    const given = await ask(generous, who)
    const { rows } = await db.query<{ user_id: string }>('SELECT user_id FROM trials WHERE id = $1', [
      given.body.trial_id,
    ])
    await disableUser({ db }, rows[0]?.user_id ?? '')
    expectError(await renew(who, withSecret(given)), 401, { code: 'unauthorized' })
  })
})

/** Renews a trial: what was its key, and the reply that holds the one that is good now. */
async function keyBefore(owner: ApiReply): Promise<object> {
  return { ...withKey(owner), newer: await renew(someone(), withKey(owner)) }
}

describe('the requests of a day', () => {
  test('are counted exactly, whatever the key, and reading is free', async () => {
    const who = someone()
    const given = await ask(generous, who)
    const replies = await times(12, () => clientOf(given).post('/chat/completions', chat))
    expect(statusesOf(replies)).toEqual([
      ...Array.from({ length: 5 }, () => 200),
      ...Array.from({ length: 7 }, () => 429),
    ])
    const again = await renew(who, withKey(given))
    const refused = await clientOf(again).post('/chat/completions', chat)
    expectError(refused, 429, { code: 'rate_limit_exceeded' })
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(86_400)
    expect((await clientOf(again).get('/models')).status).toBe(200)
  })

  test('begin anew with the day', async () => {
    const given = await ask(generous)
    await times(5, () => clientOf(given).post('/chat/completions', chat))
    expect((await clientOf(given).post('/chat/completions', chat)).status).toBe(429)
    await db.query(
      'UPDATE daily_requests SET day = day - 1 WHERE user_id = (SELECT user_id FROM trials WHERE id = $1)',
      [given.body.trial_id],
    )
    expect((await clientOf(given).post('/chat/completions', chat)).status).toBe(200)
  })
})

describe('an address', () => {
  test('begins a bounded number of trials a day, exactly, in all processes', async () => {
    const env = { ...UNLIMITED, VSCODE_TRIALS_PER_ADDRESS: '3', TRUSTED_PROXIES: '10.0.0.0/8, 127.0.0.1' }
    const apis = [await startApi(env), await startApi(env)] as const
    const from = (address: string) => times(10, index => ask(apis[index % 2 === 0 ? 0 : 1], someone(), address))
    const wanted = [200, 200, 200, ...Array.from({ length: 7 }, () => 429)]
    const given = await from('203.0.113.7')
    expect(statusesOf(given)).toEqual(wanted)
    for (const one of refusedOf(given))
      expectError(one, 429, { code: 'rate_limit_exceeded', type: 'trials_per_address' })
    expect(statusesOf(await from('198.51.100.1, 203.0.113.8, 10.1.2.3'))).toEqual(wanted)
    // What the client wrote itself is not believed.
    expect((await ask(apis[0], someone(), '192.0.2.99, 203.0.113.8')).status).toBe(429)
    expect((await ask(apis[0], someone(), '2001:db8:1:2::1')).status).toBe(200)
  })

  test('is that of the connection where no proxy is trusted', async () => {
    const strict = await startApi({ ...UNLIMITED, VSCODE_TRIALS_PER_ADDRESS: '1' })
    await ask(strict, someone(), '203.0.113.20')
    expectError(await ask(strict, someone(), '203.0.113.21'), 429, { type: 'trials_per_address' })
  })

  test('that has no more trials still gets new keys for those it has', async () => {
    const env = { ...UNLIMITED, VSCODE_TRIALS_PER_ADDRESS: '1', TRUSTED_PROXIES: '127.0.0.1' }
    const api = await startApi(env)
    const who = someone()
    const given = await ask(api, who, '203.0.113.30')
    expect(given.status).toBe(200)
    expect((await ask(api, someone(), '203.0.113.30')).status).toBe(429)
    expect((await ask(api, who, '203.0.113.30', withKey(given))).status).toBe(200)
  })
})

test('the trials of a day are bounded, exactly, in all processes', async () => {
  const { rows } = await db.query<{ count: bigint }>('SELECT count(*) FROM trials')
  const perDay = String(Number(rows[0]?.count) + 4)
  const env = { ...UNLIMITED, VSCODE_TRIALS_PER_DAY: perDay, TRUSTED_PROXIES: '127.0.0.1' }
  const apis = [await startApi(env), await startApi(env)] as const
  const given = await times(12, index => ask(apis[index % 2 === 0 ? 0 : 1], someone(), `203.0.113.${100 + index}`))
  expect(statusesOf(given)).toEqual([200, 200, 200, 200, ...Array.from({ length: 8 }, () => 429)])
  for (const one of refusedOf(given)) expectError(one, 429, { code: 'rate_limit_exceeded', type: 'trials_per_day' })
  await db.query(`UPDATE trials SET created_at = created_at - interval '1 day'`)
  expect((await ask(apis[0], someone(), '203.0.113.200')).status).toBe(200)
})

describe('what is refused', () => {
  test.each<[string, object, string]>([
    ['an attribution that is too long', { attribution: { a: 'x'.repeat(4_096) } }, 'attribution'],
    ['an attribution with a NUL', { attribution: { a: ['\0'] } }, 'attribution'],
    ['a version with a NUL', { extension_version: '1\0' }, 'extension_version'],
    ['a hash that is too long', { machine_id_hash: 'x'.repeat(257) }, 'machine_id_hash'],
    ['a field that is not known', { email: 'a@b.test' }, 'email'],
  ])('%s, and nothing is left of it', async (_, changes, param) => {
    const count = async () => (await db.query<{ count: bigint }>('SELECT count(*) FROM users')).rows[0]?.count
    const before = await count()
    expectError(await ask(generous, someone(changes)), 400, { code: 'bad_request', param })
    expect(await count()).toBe(before)
  })
})

test('a trial whose owner asks many times at once pays what its credit covers, and is not below zero', async () => {
  const busy = await startApi({ ...UNLIMITED, VSCODE_TRIAL_REQUESTS_PER_DAY: '1000', VSCODE_TRIAL_CREDIT_USD: '0.25' })
  const { body } = await ask(busy)
  const client = apiClient(body.api_key as string, busy.url)
  // An answer at the limit that nobody stated, which costs 0.0197 USD.
  const usage = { prompt_tokens: 300, completion_tokens: 16_384, total_tokens: 16_684 }
  const replies = await times(20, () =>
    client.post('/chat/completions', chatOf({ usage, delayMs: 3_000 }, { model: MODEL })),
  )
  expect(new Set(statusesOf(replies))).toEqual(new Set([200, 402]))
  const served = BigInt(replies.filter(({ status }) => status === 200).length)
  const { rows } = await db.query<{ balance_nanos: bigint }>(
    'SELECT balance_nanos FROM accounts JOIN trials USING (user_id) WHERE id = $1',
    [body.trial_id],
  )
  expect(rows).toEqual([{ balance_nanos: 250_000_000n - served * (300n * 300n + 16_384n * 1_200n) }])
  expect(rows[0]?.balance_nanos).toBeGreaterThanOrEqual(0n)
})

test('who asked is in no table and no log as it was told, and neither is the key', async () => {
  const who = someone()
  const reply = await ask(generous, who)
  const { body } = reply
  const kept = await Promise.all(
    ['trials', 'trial_identities', 'api_keys', 'users', 'projects'].map(
      async table => (await db.query<{ row: string }>(`SELECT t::text AS row FROM ${table} t`)).rows,
    ),
  )
  const [tables, logs] = [JSON.stringify(kept), await generous.logsAfter(reply)]
  expect(tables).toContain(body.trial_id)
  expect(logs).toContain(TRIAL)
  expect(tables).not.toContain('127.0.0.1')
  const { [RENEWAL]: renewal = '' } = withSecret(reply)
  for (const secret of [who.machine_id_hash, who.installation_id_hash, body.api_key as string, renewal]) {
    expect(tables + logs).not.toContain(secret)
  }
})
