import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { migrate } from '../../infra/postgres/migrate.ts'
import { inTransaction, openDatabase, type Database } from '../../infra/postgres/database.ts'
import { BATCH_JOBS } from '../../domain/work/batches/batch.rules.ts'
import { newId } from '../../domain/core/ids.ts'
import { endJob, startJob } from '../../domain/durable/jobs/jobs.service.ts'
import { noteUncharged } from '../../domain/money/ledger/uncharged.ts'
import { createMetrics } from '../../infra/metrics.ts'
import { silentLog } from '../support/jobs.ts'
import { createDatabase, type OwnDatabase } from './own-database.ts'
import { ipop, ipopJson } from './ipop.ts'

let own: OwnDatabase
let env: Record<string, string>

beforeAll(async () => {
  own = await createDatabase()
  await migrate(own.url)
  env = { DATABASE_URL: own.url }
})
afterAll(() => own.drop())

interface Id {
  id: string
}

const newUser = async (name = 'Acme') => (await ipopJson<Id>(['users', 'create', '--name', name], env)).id

describe('users and projects', () => {
  test('a user is created, disabled and enabled', async () => {
    const id = await newUser('Initech')
    const stateOf = async () =>
      (await ipopJson<(Id & { name: string; disabled_at: string | null })[]>(['users', 'list'], env)).find(
        user => user.id === id,
      )
    expect(await stateOf()).toMatchObject({ name: 'Initech', disabled_at: null })
    await ipopJson(['users', 'disable', id], env)
    expect((await stateOf())?.disabled_at).toMatch(/^\d{4}-/)
    await ipopJson(['users', 'enable', id], env)
    expect((await stateOf())?.disabled_at).toBeNull()
  })

  test('projects are listed by user', async () => {
    const [one, other] = [await newUser(), await newUser()]
    const { id } = await ipopJson<Id>(['projects', 'create', '--user', one, '--name', 'bot'], env)
    await ipopJson(['projects', 'create', '--user', other, '--name', 'bot'], env)
    const projects = await ipopJson<Id[]>(['projects', 'list', '--user', one], env)
    expect(projects).toEqual([expect.objectContaining({ id, user_id: one, name: 'bot' })])
  })

  test('people get a table', async () => {
    const id = await newUser('Hooli')
    const { stdout } = await ipop(['users', 'list'], env)
    const [titles = '', ...rows] = stdout.trimEnd().split('\n')
    const row = rows.find(line => line.startsWith(id)) ?? ''
    expect(row.indexOf('Hooli')).toBe(titles.indexOf('NAME'))
    expect(row.indexOf('active')).toBe(titles.indexOf('STATE'))
  })
})

describe('keys', () => {
  test('the secret is shown at creation, with a word on that, and never again', async () => {
    const user = await newUser()
    const { stdout } = await ipop(['keys', 'create', '--user', user, '--name', 'laptop'], env)
    const [secret = ''] = /ipop_[\w-]{43}/.exec(stdout) ?? []
    expect(secret).not.toBe('')
    expect(stdout).toContain('only time the secret is shown')
    const later = await ipop(['keys', 'list', '--user', user], env)
    expect(later.stdout).not.toContain(secret)
    expect(later.stdout).toContain(`…${secret.slice(-4)}`)
  })

  test('options become the attributes of the key', async () => {
    const user = await newUser()
    const project = (await ipopJson<Id>(['projects', 'create', '--user', user, '--name', 'bot'], env)).id
    const options = ['--user', user, '--project', project, '--name', 'ci', '--models', 'openai/gpt-5-nano, kimi-k2.6']
    const limits = [
      '--no-external-processing',
      '--requests-per-minute',
      '60',
      '--concurrent-streams',
      '4',
      '--smoke-test',
      '--expires',
      '2126-01-31',
    ]
    expect(await ipopJson(['keys', 'create', ...options, ...limits], env)).toMatchObject({
      user_id: user,
      project_id: project,
      name: 'ci',
      allowed_models: ['openai/gpt-5-nano', 'kimi-k2.6'],
      external_processing: false,
      requests_per_minute: 60,
      concurrent_streams: 4,
      smoke_test: true,
      expires_at: '2126-01-31T00:00:00.000Z',
      revoked_at: null,
    })
  })

  test('without options a key has no limits', async () => {
    const key = await ipopJson(['keys', 'create', '--user', await newUser(), '--name', 'plain'], env)
    expect(key).toMatchObject({
      project_id: null,
      allowed_models: null,
      external_processing: true,
      requests_per_minute: null,
      concurrent_streams: null,
      smoke_test: false,
      expires_at: null,
    })
  })

  test('a key is revoked', async () => {
    const { id } = await ipopJson<Id>(['keys', 'create', '--user', await newUser(), '--name', 'old'], env)
    const revoked = await ipopJson<{ revoked_at: string }>(['keys', 'revoke', id], env)
    expect(revoked.revoked_at).toMatch(/^\d{4}-/)
  })
})

describe('credits', () => {
  test('amounts are exact to the last digit', async () => {
    const user = await newUser()
    await ipopJson(['credits', 'add', '--user', user, '--amount', '12.50', '--note', 'invoice 1042'], env)
    await ipopJson(['credits', 'add', '--user', user, '--amount', '-0.000000001'], env)
    expect(await ipopJson(['credits', 'show', '--user', user], env)).toMatchObject({
      balance_usd: '12.499999999',
      held_usd: '0.00',
      available_usd: '12.499999999',
      entries: [
        { kind: 'credit', amount_usd: '-0.000000001' },
        { kind: 'credit', amount_usd: '12.50', note: 'invoice 1042' },
      ],
    })
  })
})

describe('jobs', () => {
  let db: Database
  beforeAll(() => void (db = openDatabase({ url: own.url, poolSize: 1, applicationName: 'ipop-test' })))
  afterAll(() => db.close())

  async function newJob(userId: string): Promise<string> {
    const resourceId = newId('batch')
    const job = { resourceId, owner: { userId, projectId: null }, input: {}, summary: 'a batch', fileIds: [] }
    await inTransaction(db, tx => startJob(tx, BATCH_JOBS, job))
    return resourceId
  }
  const paidForNothing = async (id: string) => {
    const metrics = createMetrics('test')
    await noteUncharged(
      { db, log: silentLog, metrics },
      { resourceId: id, upstream: 'a', nanos: 1_230_000n, error: '', of: {} },
    )
  }

  test('running jobs come with their workflow', async () => {
    const userId = await newUser()
    const id = await newJob(userId)
    const jobs = await ipopJson<Id[]>(['jobs', 'list'], { ...env, TEMPORAL_UI_URL: 'http://temporal.test:8233/' })
    expect(jobs.find(job => job.id === id)).toMatchObject({
      kind: 'batch',
      state: 'open',
      run: 1,
      user_id: userId,
      uncharged_usd: '0.00',
      workflow_id: `${id}.1`,
      workflow_url: `http://temporal.test:8233/namespaces/default/workflows/${id}.1`,
    })
  })

  test('what was paid upstream and charged to nobody is shown of each, also where it has ended', async () => {
    const [running, ended, clean] = [
      await newJob(await newUser()),
      await newJob(await newUser()),
      await newJob(await newUser()),
    ]
    await paidForNothing(running)
    await paidForNothing(ended)
    await paidForNothing(ended)
    await inTransaction(db, tx => endJob(tx, { resourceId: ended, run: 1 }, 'failed'))
    const shown = { id: ended, state: 'ended', outcome: 'failed', uncharged_usd: '0.00246' }
    expect(await ipopJson(['jobs', 'show', ended], env)).toMatchObject(shown)
    const listed = await ipopJson<Id[]>(['jobs', 'list', '--uncharged'], env)
    expect(listed.map(({ id }) => id)).toEqual([ended, running])
    const { stdout } = await ipop(['jobs', 'list'], env)
    const lineOf = (id: string) => stdout.split('\n').find(line => line.startsWith(id)) ?? ''
    expect(lineOf(running)).toContain(' 0.00123 ')
    expect(lineOf(clean)).toMatch(/ - /)
    expect((await ipop(['jobs', 'show', ended], env)).stdout).toMatch(/^uncharged_usd +0\.00246$/m)
  })

  test('one that is not there is told as such', async () => {
    const { code, stderr } = await ipop(['jobs', 'show', newId('turn')], env)
    expect(code).toBe(1)
    expect(stderr).toContain('There is no such job.')
  })
})
