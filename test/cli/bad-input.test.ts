import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { migrate } from '../../infra/postgres/migrate.ts'
import { createDatabase, type OwnDatabase } from './own-database.ts'
import { ipop } from './ipop.ts'

let own: OwnDatabase

beforeAll(async () => {
  own = await createDatabase()
  await migrate(own.url)
})
afterAll(() => own.drop())

/** Exit code 1 and one line on stderr that no stack trace follows. */
async function expectSentence(args: readonly string[], env: Record<string, string>, sentence: RegExp): Promise<void> {
  const { code, stdout, stderr } = await ipop(args, env)
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr.trimEnd().split('\n')).toEqual([expect.stringMatching(sentence)])
}

describe('bad input ends with exit code 1 and one sentence', () => {
  test.each<[string, string[], RegExp]>([
    ['an unknown user', ['credits', 'show', '--user', 'user_nobody'], /^There is no such user\.$/],
    ['an unknown user of a new key', ['keys', 'create', '--user', 'user_nobody', '--name', 'x'], /no such user/],
    ['an unknown key', ['keys', 'revoke', 'key_nothing'], /^There is no such API key\.$/],
    ['an empty name', ['users', 'create', '--name', ' '], /^A name has 1 to 200 characters\.$/],
    ['no name', ['users', 'create'], /required option '--name <name>'/],
    ['an amount that is no number', ['credits', 'add', '--user', 'u', '--amount', '1e3'], /such as 12\.50/],
    ['an amount too fine', ['credits', 'add', '--user', 'u', '--amount', '0.0000000001'], /nine decimals/],
    ['no amount at all', ['credits', 'add', '--user', 'user_nobody', '--amount', '0'], /must not be zero/],
    ['a rate of zero', ['keys', 'create', '--user', 'u', '--name', 'x', '--requests-per-minute', '0'], /from 1 to/],
    ['no streams', ['keys', 'create', '--user', 'u', '--name', 'x', '--concurrent-streams', '0'], /from 1 to/],
    ['a past expiry', ['keys', 'create', '--user', 'u', '--name', 'x', '--expires', '2020-01-01'], /in the future/],
    ['an expiry that is no time', ['keys', 'create', '--user', 'u', '--name', 'x', '--expires', '7'], /such as 2027/],
    ['an empty model', ['keys', 'create', '--user', 'u', '--name', 'x', '--models', 'a,,b'], /model ids/],
    ['an unknown command', ['frobnicate'], /unknown command/],
    ['an unknown worker', ['worker', 'night-shift'], /control, interactive, model or provider-jobs/],
  ])('%s', async (_name, args, sentence) => {
    await expectSentence(args, { DATABASE_URL: own.url }, sentence)
  })
})

describe('a deployment that is not there', () => {
  test('no database named, no stack running', async () => {
    await expectSentence(['users', 'list'], { DATA_DIR: '/nonexistent' }, /^DATABASE_URL is not set: .*`npm start`/)
  })

  test.each([['users', 'list'], ['migrate'], ['ledger', 'verify']])(
    'a database that does not answer: %s %s',
    async (...args) => {
      const env = { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing' }
      await expectSentence(args.filter(Boolean), env, /ECONNREFUSED/)
    },
  )

  test('a database without tables', async () => {
    const empty = await createDatabase()
    try {
      await expectSentence(['users', 'list'], { DATABASE_URL: empty.url }, /not migrated .*`npx ipop migrate`/)
    } finally {
      await empty.drop()
    }
  })

  test('a wrong variable', async () => {
    await expectSentence(['users', 'list'], { DATABASE_URL: 'mysql://x' }, /^DATABASE_URL is wrong/)
  })
})

describe('help', () => {
  test.each([
    [],
    ['users'],
    ['keys', 'create'],
    ['credits', 'add'],
    ['ledger', 'verify'],
    ['doctor'],
    ['demo'],
    ['api'],
  ])('of %s %s', async (...args) => {
    const { code, stdout } = await ipop([...args.filter(Boolean), '--help'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^Usage: ipop/)
  })
})
