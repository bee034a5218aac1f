import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from '@jest/globals'
import { findByCommand, isAlive, type ProcessIdentity } from '../../stack/process-identity.ts'
import { readStackFile, type StackFile } from '../../stack/stack-file.ts'
import { apiClient } from '../support/client.ts'
import { until } from '../support/until.ts'
import { newDataDir, runCommand, type StackProcess } from './stack-process.ts'

const UP = 'Ctrl-C stops everything.'

/** Ten times what stopping may take. */
const STOP_WITHIN_MS = 100_000

const left: { dataDir: string; stack: StackProcess }[] = []

afterEach(async () => {
  for (const { dataDir, stack } of left.splice(0)) {
    stack.child.kill('SIGTERM')
    await stack.ended
    rmSync(dataDir, { recursive: true, force: true })
  }
})

async function start(dataDir: string): Promise<StackProcess> {
  const stack = runCommand('start', { DATA_DIR: dataDir, PORT: '0' })
  left.push({ dataDir, stack })
  await stack.printed(UP)
  return stack
}

function fileOf(dataDir: string): StackFile {
  const file = readStackFile(dataDir)
  if (file === undefined) throw new Error('there is no stack.json')
  return file
}

const serversOf = (processes: StackFile['processes']): ProcessIdentity[] =>
  ['postgres', 'temporal'].flatMap(name => processes[name] ?? [])

/** As an earlier version made it, under the usual umask. */
function leaveOpen(dataDir: string): void {
  mkdirSync(join(dataDir, 'objects', 'old'), { recursive: true })
  mkdirSync(join(dataDir, 'logs'))
  writeFileSync(join(dataDir, 'objects', 'old', 'object'), 'prompts')
  writeFileSync(join(dataDir, 'logs', 'api.log.1'), 'lines')
  symlinkSync('/etc/hostname', join(dataDir, 'link'))
  for (const [name, mode] of Object.entries({ '.': 0o755, objects: 0o777, 'objects/old/object': 0o666, logs: 0o755 })) {
    chmodSync(join(dataDir, name), mode)
  }
}

/** What ends while it is looked at is nobody's. */
function isOthersToo(path: string): boolean {
  const entry = lstatSync(path, { throwIfNoEntry: false })
  return entry !== undefined && !entry.isSymbolicLink() && (entry.mode & 0o077) !== 0
}

const killAll = ({ processes }: StackFile): void =>
  Object.values(processes).forEach(({ pid }) => process.kill(pid, 'SIGKILL'))

const keyOf = (dataDir: string): string => readFileSync(join(dataDir, 'dev-api-key'), 'utf8').trim()

const askSandbox = (dataDir: string) =>
  apiClient(keyOf(dataDir), fileOf(dataDir).apiUrl).post('/chat/completions', {
    model: 'ipop/coder-balanced',
    messages: [{ role: 'user', content: 'hello' }],
  })

describe('npm start', () => {
  test('runs, refuses a second one, goes on after kill -9 of the supervisor, and stops in order', async () => {
    const dataDir = await newDataDir()
    leaveOpen(dataDir)
    const first = await start(dataDir)
    const reply = await askSandbox(dataDir)
    expect(reply.status).toBe(200)
    expect(reply.headers.get('x-ipop-sandbox')).toBe('true')
    await apiClient(keyOf(dataDir), fileOf(dataDir).apiUrl).upload('{"custom_id":"a"}')
    const kept = readdirSync(dataDir, { recursive: true, encoding: 'utf8' })
    expect(kept).toEqual(expect.arrayContaining(['temporal.db', 'logs/api.log', 'objects/old/object', 'dev-api-key']))
    expect(['.', ...kept].filter(name => isOthersToo(join(dataDir, name)))).toEqual([])

    const second = runCommand('start', { DATA_DIR: dataDir, PORT: '0' })
    expect(await second.ended).toBe(1)
    expect(second.output().trim().split('\n')).toHaveLength(1)
    expect(second.output()).toContain('running')

    const before = fileOf(dataDir)
    const key = keyOf(dataDir)
    expect(Object.values(before.processes).filter(isAlive)).toHaveLength(7)
    first.child.kill('SIGKILL')
    await first.ended
    await until(async () => Object.values(before.processes).every(one => !isAlive(one)))
    expect(findByCommand([dataDir])).toEqual([])
    const again = await start(dataDir)
    const after = fileOf(dataDir)
    expect(after.temporalUiUrl).toBe(before.temporalUiUrl)
    expect(keyOf(dataDir)).toBe(key)
    expect((await askSandbox(dataDir)).status).toBe(200)

    const stoppedAtMs = Date.now()
    again.child.kill('SIGINT')
    expect(await again.ended).toBe(0)
    expect(Date.now() - stoppedAtMs).toBeLessThan(STOP_WITHIN_MS)
    expect(Object.values(after.processes).filter(isAlive)).toEqual([])
  })

  test('goes on after kill -9 of everything, and after its stack.json is lost', async () => {
    const dataDir = await newDataDir()
    const first = await start(dataDir)
    const key = keyOf(dataDir)
    first.child.kill('SIGKILL')
    killAll(fileOf(dataDir))
    await first.ended
    const second = await start(dataDir)
    expect((await askSandbox(dataDir)).status).toBe(200)

    const { processes } = fileOf(dataDir)
    second.child.kill('SIGKILL')
    await second.ended
    rmSync(join(dataDir, 'stack.json'))
    await start(dataDir)
    expect(serversOf(processes).filter(isAlive)).toEqual([])
    expect(keyOf(dataDir)).toBe(key)
    expect((await askSandbox(dataDir)).status).toBe(200)
  })

  test.each(['Making the database', 'Migrated the database'])(
    'stopped while it starts, after "%s": nothing is left running',
    async moment => {
      const dataDir = await newDataDir()
      const stack = runCommand('start', { DATA_DIR: dataDir, PORT: '0' })
      await stack.printed(moment)
      stack.child.kill('SIGINT')
      expect(await stack.ended).toBe(0)
      expect(findByCommand([dataDir])).toEqual([])
      rmSync(dataDir, { recursive: true, force: true })
    },
  )

  test.each([
    ['a wrong variable', { PORT: 'eighty' }, 'PORT'],
    ['a tool that does not run', { PORT: '0', TEMPORAL_CLI_PATH: '/does/not/exist' }, 'TEMPORAL_CLI_PATH'],
    ['a catalog that is not there', { PORT: '0', CATALOG_FILE: '/does/not/exist.json' }, 'CATALOG_FILE'],
    ['half an S3 configuration', { PORT: '0', S3_ENDPOINT: 'http://127.0.0.1:1' }, 'S3_ACCESS_KEY_ID'],
  ])('%s: one clear sentence, exit 1', async (_case, env, named) => {
    const dataDir = await newDataDir()
    const stack = runCommand('start', { DATA_DIR: dataDir, ...env })
    expect(await stack.ended).toBe(1)
    expect(stack.output()).toContain(named)
    expect(stack.output().trim().split('\n').at(-1)).toMatch(/\.$/)
    expect(Object.values(readStackFile(dataDir)?.processes ?? {}).filter(isAlive)).toEqual([])
    rmSync(dataDir, { recursive: true, force: true })
  })

  test('a port in use: one clear sentence, exit 1, nothing left running', async () => {
    const dataDir = await newDataDir()
    const holder = createServer().listen(0, '127.0.0.1')
    await once(holder, 'listening')
    const port = String((holder.address() as AddressInfo).port)
    const stack = runCommand('start', { DATA_DIR: dataDir, PORT: port })
    expect(await stack.ended).toBe(1)
    expect(stack.output()).toContain(port)
    expect(readStackFile(dataDir)?.processes ?? {}).toEqual({})
    holder.close()
    rmSync(dataDir, { recursive: true, force: true })
  })
})
