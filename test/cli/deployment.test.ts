import { describe, expect, test } from '@jest/globals'
import { testStack } from '../support/stack.ts'
import { createDatabase } from './own-database.ts'
import { ipop, ipopJson } from './ipop.ts'

const { dataDir, databaseUrl, temporalAddress, upstreamUrl } = testStack()

interface Diagnosis {
  ok: boolean
  checks: { name: string; ok: boolean; detail: string; remedy?: string }[]
}

describe('a stack that runs on DATA_DIR', () => {
  const env = { DATA_DIR: dataDir, OPENROUTER_BASE_URL: upstreamUrl }

  test('is found by operator commands without a variable', async () => {
    const users = await ipopJson<{ name: string }[]>(['users', 'list'], env)
    expect(users.map(user => user.name)).toContain('dev')
  })

  test('is healthy by the doctor', async () => {
    const { ok, checks } = await ipopJson<Diagnosis>(['doctor'], env)
    expect(checks.filter(check => !check.ok)).toEqual([])
    expect(ok).toBe(true)
  })

  test('is used by the demo, over and over', async () => {
    for (let time = 1; time <= 2; time += 1) {
      const { code, stdout, stderr } = await ipop(['demo'], env)
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toMatch(/24\/24 rows, 2 failed/)
      expect(stdout).toMatch(/^ticket-001 +completed /m)
      expect(stdout).toMatch(/^\(line 11\) +failed +invalid_json_line/m)
      expect(stdout).toMatch(/^ticket-015 +failed +model_not_found/m)
      expect(stdout).toMatch(/^Total cost +\d+\.\d+ USD$/m)
      expect(stdout).toMatch(
        /^Workflow +http:\/\/127\.0\.0\.1:\d+\/namespaces\/default\/workflows\/batch_[0-9a-f]{32}\.1$/m,
      )
    }
  })
})

describe('the doctor', () => {
  test('says what to do about everything that is missing', async () => {
    const empty = await createDatabase()
    const { code, stdout } = await ipop(['doctor'], {
      DATABASE_URL: empty.url,
      TEMPORAL_ADDRESS: '127.0.0.1:1',
      DATA_DIR: dataDir,
    })
    await empty.drop()
    expect(code).toBe(1)
    expect(stdout).toMatch(/^ok +Postgres +version \d+/m)
    expect(stdout).toMatch(/^FAIL +Migrations +.*`npx ipop migrate`/m)
    expect(stdout).toMatch(/^FAIL +Month partitions /m)
    expect(stdout).toMatch(/^FAIL +Temporal +no answer from 127\.0\.0\.1:1\. Set TEMPORAL_ADDRESS/m)
    expect(stdout).toMatch(/^FAIL +SECRETS_KEY +not set\. .*echo k1:/m)
    expect(stdout).toMatch(/^FAIL +SIGNING_KEY +not set\. .*openssl rand -hex 32/m)
    expect(stdout).toMatch(/^FAIL +Upstream +.*OPENROUTER_API_KEY/m)
    expect(stdout).toMatch(/^(ok|note) +Child processes /m)
  })

  test('takes no offence at a tool that is not there, and says how to install it', async () => {
    const { stdout } = await ipop(['doctor', '--json'], { DATA_DIR: dataDir, PATH: '/nowhere' })
    const { checks } = JSON.parse(stdout)
    expect(checks).toContainEqual({
      name: 'ffmpeg',
      ok: true,
      detail: expect.stringMatching(/apt-get install ffmpeg.*brew install ffmpeg.*apk add ffmpeg/),
      remedy: 'Media needs it.',
    })
  })

  test('names an upstream that refuses', async () => {
    const env = { DATABASE_URL: databaseUrl, TEMPORAL_ADDRESS: temporalAddress, DATA_DIR: dataDir }
    const { stdout } = await ipop(['doctor'], { ...env, OPENROUTER_BASE_URL: `${upstreamUrl}/nowhere` })
    expect(stdout).toMatch(/^FAIL +Upstream openrouter +GET .*\/nowhere\/models answered 404/m)
  })
})
