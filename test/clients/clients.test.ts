import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { openDatabase, type Database } from '../../infra/postgres/database.ts'
import { newTenant, type Tenant } from '../support/tenants.ts'
import { CODEX, HERMES, installed, OPENCODE, type Installed } from './install.ts'
import { runProgram } from './program.ts'
import { startSandboxStack, type SandboxStack } from './sandbox-stack.ts'

const DEFAULT_MODEL = 'ipop/coder-balanced'
const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
const clients = { opencode: await installed(OPENCODE), codex: await installed(CODEX), hermes: await installed(HERMES) }

let stack: SandboxStack
let db: Database
const homes: string[] = []

beforeAll(async () => {
  stack = await startSandboxStack()
  db = openDatabase({ url: stack.databaseUrl, poolSize: 2, applicationName: 'ipop-test' })
})
afterEach(async () => {
  for (const home of homes.splice(0)) await rm(home, { recursive: true, force: true })
})
afterAll(async () => {
  await db.close()
  await stack.stop()
})

/** A person's machine: an empty home, nothing of ours in the environment but what is given. */
async function newHome(files: Record<string, string>) {
  const home = await mkdtemp(join(tmpdir(), 'ipop-home-'))
  homes.push(home)
  const project = join(home, 'project')
  for (const [path, content] of Object.entries({ 'project/readme.txt': 'A project.', ...files })) {
    await mkdir(dirname(join(home, path)), { recursive: true })
    await writeFile(join(home, path), content)
  }
  return (client: Installed, args: string[], env: Record<string, string> = {}) =>
    runProgram('program' in client ? client.program : '', args, {
      cwd: project,
      env: { PATH: process.env['PATH'], HOME: home, ...env },
    })
}

const tenant = (): Promise<Tenant> => newTenant(db, { apiUrl: stack.apiUrl })
const describeWith = (client: Installed) => ('missing' in client ? describe.skip : describe)

/** The calls were recorded on that surface for the default model, and the account has paid just what they cost. */
async function expectBilled({ api, userId }: Tenant, surface: string): Promise<void> {
  const { total_requests: requests, total_cost: cost, records } = (await api.get(`/usage?surface=${surface}`)).body
  expect(requests).toBeGreaterThan(0)
  expect(cost).toBeGreaterThan(0)
  expect(new Set(records.map((one: { model: string }) => one.model))).toEqual(new Set([DEFAULT_MODEL]))
  expect((await api.get('/usage')).body.total_requests).toBe(requests)
  const { rows } = await db.query<{ balance: bigint }>(
    'SELECT balance_nanos AS balance FROM accounts WHERE user_id = $1',
    [userId],
  )
  expect(10_000_000_000 - Number(rows[0]?.balance)).toBe(Math.round(cost * 1e9))
}

describeWith(clients.opencode)('OpenCode', () => {
  const run = ['run', 'Say hello to OpenCode']
  const answer = /Sandbox: .*Say hello to OpenCode/

  test('does a turn with the config that it is given, saved as it is', async () => {
    const person = await tenant()
    const { config } = (await person.api.get('/client-config/opencode')).body
    const home = await newHome({ 'project/opencode.json': JSON.stringify(config) })
    const { code, stdout, output } = await home(clients.opencode, run)
    expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('Sandbox') })
    expect(stdout).toMatch(answer)
    await expectBilled(person, 'chat')
  })

  test('does one with the shared copy and the key in the environment', async () => {
    const person = await tenant()
    const { config } = (await person.api.get('/client-config/opencode?redact_secrets=true')).body
    const home = await newHome({ '.config/opencode/opencode.json': JSON.stringify(config) })
    const { stdout } = await home(clients.opencode, run, { IPOP_API_KEY: person.secret })
    expect(stdout).toMatch(answer)
    await expectBilled(person, 'chat')
  })
})

describeWith(clients.codex)('Codex', () => {
  test('does a turn over /v1/responses with the config of the README', async () => {
    const person = await tenant()
    const toml = /```toml\n(.*?)```/s.exec(README)?.[1]?.replace('http://127.0.0.1:8080', stack.apiUrl) ?? ''
    expect(toml).toContain(`${stack.apiUrl}/v1`)
    const home = await newHome({ '.codex/config.toml': toml })
    const args = ['exec', '--skip-git-repo-check', 'Say hello to Codex']
    const { code, stdout, output } = await home(clients.codex, args, { IPOP_API_KEY: person.secret })
    expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('Sandbox') })
    expect(stdout).toMatch(/Sandbox: .*Say hello to Codex/)
    await expectBilled(person, 'responses')
  })
})

describeWith(clients.hermes)('Hermes', () => {
  const run = ['chat', '-Q', '-q', 'Say hello to Hermes']

  test.each<[string, string, boolean]>([
    ['the config that it is given, saved as it is', '/client-config/hermes', false],
    ['the shared copy and the key in the environment', '/client-config/hermes?redact_secrets=true', true],
  ])('does a turn with %s', async (_, path, isShared) => {
    const person = await tenant()
    const { config } = (await person.api.get(path)).body
    const home = await newHome({ '.hermes/config.yaml': JSON.stringify(config) })
    const { code, stdout, output } = await home(clients.hermes, run, isShared ? { IPOP_API_KEY: person.secret } : {})
    expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('Sandbox') })
    expect(stdout).toMatch(/Sandbox: .*Say hello to Hermes/)
    await expectBilled(person, 'chat')
  })
})
