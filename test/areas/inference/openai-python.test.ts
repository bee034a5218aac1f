import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { testDatabase } from '../../support/database.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant } from '../../support/tenants.ts'

const run = promisify(execFile)
const db = testDatabase()
const CLIENT = 'openai==3.54.0'
const SCRIPT = fileURLToPath(new URL('../../support/openai_client.py', import.meta.url))
const CACHE = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
const ENVIRONMENT = join(CACHE, 'ipop', `python-${CLIENT.replace('==', '-')}`)
const INSTALL_MS = 300_000

/** Python with OpenAI's client, in an environment of its own; why not, where this machine has no Python for it. */
async function pythonWithClient(): Promise<{ python: string } | { missing: string }> {
  const python = join(ENVIRONMENT, 'bin', 'python')
  try {
    if (!existsSync(python)) {
      await mkdir(join(CACHE, 'ipop'), { recursive: true })
      await run('python3', ['-m', 'venv', ENVIRONMENT])
    }
    await run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', CLIENT])
    return { python }
  } catch (error) {
    return { missing: error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error) }
  }
}

const PYTHON = await pythonWithClient()
if ('missing' in PYTHON) {
  process.stderr.write(`The tests with OpenAI's client for Python are skipped: ${PYTHON.missing}\n`)
}
const describeWithPython = 'missing' in PYTHON ? describe.skip : describe

describeWithPython("OpenAI's client for Python", () => {
  let given: Record<string, unknown>
  beforeAll(async () => {
    const { secret } = await newTenant(db)
    const { apiUrl } = testStack()
    const { stdout } = await run('python' in PYTHON ? PYTHON.python : '', [SCRIPT], {
      env: { ...process.env, IPOP_API_KEY: secret, IPOP_BASE_URL: `${apiUrl}/v1` },
    })
    const lines = stdout.trim().split('\n')
    const told = lines.map(line => JSON.parse(line) as { operation: string; given: unknown })
    given = Object.fromEntries(told.map(one => [one.operation, one.given]))
  }, INSTALL_MS)

  test.each<[string, object]>([
    ['models', { first: 'model', one: 'test/plain' }],
    ['chat', { text: 'hello', tokens: 1 }],
    ['chat_stream', { text: 'one two three', tokens: 3 }],
    ['chat_tools', { reason: 'tool_calls', name: 'get_weather', arguments: { city: 'Oslo' } }],
    ['embeddings', { count: 2, same: true }],
    ['images', { url: true }],
    ['files_and_batches', { status: 'completed', text: 'from a batch', listed: true, gone: ['NotFoundError', 404] }],
    ['responses', { texts: ['first', 'second', 'second'], items: 1, gone: ['NotFoundError', 404] }],
    [
      'responses_stream',
      { first: 'response.created', last: 'response.completed', text: 'one two', status: 'completed' },
    ],
    ['input_tokens', { positive: true }],
    ['errors', { key: ['AuthenticationError', 401], model: ['NotFoundError', 404], body: ['BadRequestError', 400] }],
  ])('%s', (operation, wanted) => {
    expect(given[operation]).toEqual(wanted)
  })
})
