import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, test } from '@jest/globals'
import { manageProcess, type ManagedProcess, type ProcessSpec } from '../../stack/managed-process.ts'
import { isAlive, type ProcessIdentity } from '../../stack/process-identity.ts'
import { logPath } from '../../stack/process-log.ts'
import { HANGS_AFTER_MS, until } from '../support/until.ts'
import { newDataDir } from './stack-process.ts'

const left: ManagedProcess[] = []
afterEach(() => left.splice(0).forEach(managed => managed.kill()))

const SAYS_READY = `process.send({ type: 'ready' }); setInterval(() => undefined, 1000)`

/** A Node program under supervision, and what the supervisor was told of it. */
async function supervise(program: string, settings: Partial<ProcessSpec> = {}) {
  const dataDir = await newDataDir()
  const known: (ProcessIdentity | undefined)[] = []
  const said: string[] = []
  const spec: ProcessSpec = {
    name: 'a program',
    command: process.execPath,
    args: ['-e', program],
    env: process.env,
    isReady: 'message',
    startTimeoutMs: HANGS_AFTER_MS,
    stopSignal: 'SIGTERM',
    stopGraceMs: 200,
    ...settings,
  }
  const changed = (_name: string, identity: ProcessIdentity | undefined) => known.push(identity)
  const managed = manageProcess(dataDir, spec, { changed, printLine: line => said.push(line) })
  left.push(managed)
  return { managed, dataDir, known, said }
}

function identityOf(known: (ProcessIdentity | undefined)[]): ProcessIdentity {
  const identity = known.at(-1)
  if (identity === undefined) throw new Error('the process is not there')
  return identity
}

describe('a managed process', () => {
  test('is started again when it is killed, and not when it is stopped', async () => {
    const { managed, known, said } = await supervise(SAYS_READY)
    await managed.ready
    const first = identityOf(known)
    process.kill(first.pid, 'SIGKILL')
    await until(() => Promise.resolve(known.length === 3))
    const second = identityOf(known)
    expect(second).not.toEqual(first)
    expect(said).toEqual(['a program ended (SIGKILL): starting it again'])

    await managed.stop(10_000)
    expect(isAlive(second)).toBe(false)
    await until(() => Promise.resolve(known.length === 4))
    expect(said).toHaveLength(1)
  })

  test('one that does not come up fails with its own sentence and the name of its log', async () => {
    const { managed, dataDir } = await supervise(
      `console.log('{"level":30}'); console.error('CATALOG_FILE cannot be read.'); process.exit(1)`,
    )
    const log = logPath(dataDir, 'a program')
    await expect(managed.ready).rejects.toThrow(`a program did not start (CATALOG_FILE cannot be read): see ${log}.`)
    expect(readFileSync(log, 'utf8')).toContain('CATALOG_FILE')
  })

  test('one that is not there fails', async () => {
    const { managed } = await supervise('', { command: '/does/not/exist' })
    await expect(managed.ready).rejects.toThrow(/a program did not start \(spawn .*ENOENT\)/)
  })

  test('one that hangs fails when its time is up, and is stopped though it ignores the signal', async () => {
    const hangs = `process.on('SIGTERM', () => undefined); process.send({ type: 'hangs' }); setInterval(() => undefined, 1000)`
    const { managed, known } = await supervise(hangs, { startTimeoutMs: 1_500 })
    await expect(managed.ready).rejects.toThrow('not ready after 1.5 s')
    await managed.stop(10_000)
    expect(isAlive(identityOf(known.filter(one => one !== undefined)))).toBe(false)
  })

  test('one that ends before it is ready is tried as often as it is told', async () => {
    const { managed, known } = await supervise('process.exit(3)', { startAttempts: 2 })
    await expect(managed.ready).rejects.toThrow('code 3')
    expect(known.filter(one => one !== undefined)).toHaveLength(2)
  })

  test('one that is stopped while it starts is gone', async () => {
    const { managed, known } = await supervise('setInterval(() => undefined, 1000)')
    await Promise.all([expect(managed.ready).rejects.toThrow('did not start'), managed.stop(10_000)])
    expect(known.filter(one => one !== undefined && isAlive(one))).toEqual([])
  })
})
